"""Where tools that are not written here come from: the endpoint of another MCP server."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Invalid
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.secrets import SecretName
from mcpbox.domain.texts import Text

URL_MAX_LENGTH = 2000
ARGUMENTS_MAX = 20
ARGUMENT_MAX_LENGTH = 500
TOOL_NAME_MAX_LENGTH = 128
"""Source: MCP specification 2025-11-25, "Tool Names"."""
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_NOT_OURS = frozenset(
    {"host", "content-type", "content-length", "accept", "connection", "transfer-encoding"}
)
"""Headers that the transport sets itself."""
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_MODULE_MAX_LENGTH = 200
_PORTS = {"https": 443, "http": 80}


class Transport(StrEnum):
    STREAMABLE_HTTP = "streamable_http"
    STDIO = "stdio"


class Authentication(StrEnum):
    """What is sent to a source besides the call; never anything of whoever calls."""

    NONE = "none"
    BEARER = "bearer"
    HEADER = "header"
    OAUTH = "oauth"


def _checked_url(url: str) -> str:
    """Raises: Invalid."""
    whole = Invalid("Give the address of the source whole, such as https://mcp.example.com/mcp.")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise whole from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0 or len(url) > URL_MAX_LENGTH:
        raise whole
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise Invalid(
            "The address of a source has no user, query or fragment: what proves who asks is kept "
            "as a secret."
        )
    HostAccess(host=parts.hostname, path_prefix=parts.path)
    # Without what was left out while reading it, such as a line feed.
    return parts.geturl()


def _checked_module(module: str) -> str:
    """Raises: Invalid."""
    if not _MODULE.fullmatch(module) or len(module) > _MODULE_MAX_LENGTH:
        raise Invalid(
            f"{module[:80]!r} is not the import name of a module, such as mcp_server_time: it is "
            "run as 'python -m' runs it."
        )
    return module


class HttpEndpoint(DomainModel):
    """An MCP server that is reached by Streamable HTTP. Raises: Invalid: what to do instead."""

    transport: Literal[Transport.STREAMABLE_HTTP] = Transport.STREAMABLE_HTTP
    url: Annotated[str, AfterValidator(_checked_url)]
    authentication: Authentication = Authentication.NONE
    secret_name: SecretName | None = None
    """Whose value proves to the source who asks; of every authentication but ``none``."""
    header_name: str | None = None
    """Which the value is sent in; of ``header`` alone."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.secret_name is None) != (self.authentication is Authentication.NONE):
            raise Invalid(
                "Name the secret that proves to the source who asks, or say that it needs none "
                "(authentication 'none')."
            )
        if (self.header_name is None) != (self.authentication is not Authentication.HEADER):
            raise Invalid("Name a header with the authentication 'header', and with no other.")
        header = self.header_name or "x"
        if not _HEADER.fullmatch(header) or header.lower() in _NOT_OURS:
            raise Invalid(f"{header[:64]!r} is not a header that a secret can be sent in.")
        return self

    @property
    def secure(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def access(self) -> HostAccess:
        """All of its host that the source needs."""
        parts = urlsplit(self.url)
        port = parts.port if parts.port != _PORTS[parts.scheme] else None
        return HostAccess(
            host=parts.hostname or "",
            port=port,
            methods=("DELETE", "GET", "POST"),
            path_prefix=parts.path,
        )

    @property
    def manifest(self) -> Manifest:
        return Manifest(
            hosts=(self.access.authority,),
            secret_names=() if self.secret_name is None else (self.secret_name,),
        )

    @property
    def label(self) -> str:
        return self.url


class StdioEndpoint(DomainModel):
    """An MCP server that is a granted module, run in the sandbox as ``python -m`` runs it."""

    transport: Literal[Transport.STDIO] = Transport.STDIO
    module: Annotated[str, AfterValidator(_checked_module)]
    """Its import name; the server holds a grant for the top level of it."""
    args: tuple[Annotated[Text, Field(max_length=ARGUMENT_MAX_LENGTH)], ...] = Field(
        default=(), max_length=ARGUMENTS_MAX
    )

    @property
    def manifest(self) -> Manifest:
        return Manifest(modules=(self.module.partition(".")[0],))

    @property
    def label(self) -> str:
        return " ".join(("python -m", self.module, *self.args))


Endpoint = Annotated[HttpEndpoint | StdioEndpoint, Field(discriminator="transport")]


class Upstream(DomainModel):
    """What a version without code does: it passes its calls on to one tool of another server."""

    endpoint: Endpoint
    tool: str = Field(min_length=1, max_length=TOOL_NAME_MAX_LENGTH)
    """Its name there."""
    title: str = ""
    output_schema: dict[str, Any] | None = None
