"""What a source offers, asked of the source itself: over the network, or in the sandbox."""

from typing import Any, cast

from mcp_types import Tool
from pydantic import SecretStr, TypeAdapter, ValidationError

from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.external_sources import ExternalSource, Listing
from mcpbox.domain.upstreams import Authentication, HttpEndpoint, StdioEndpoint
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.grants import granted
from mcpbox.store.secrets import get_secret_row
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.upstream.asking import SignInNeeded
from mcpbox.upstream.reader import Reader, listing_from
from mcpbox.usecases.bundles import listing_bundle
from mcpbox.usecases.source_tokens import SourceTokens, ends_soon
from mcpbox.vault import Vault

_TOOLS: TypeAdapter[list[Tool]] = TypeAdapter(list[Tool])


class SourceListing:
    def __init__(
        self, sessions: Sessions, vault: Vault, sandbox: SandboxClient, reader: Reader
    ) -> None:
        self._tokens = SourceTokens(sessions, vault)
        self._sessions = sessions
        self._vault = vault
        self._sandbox = sandbox
        self._reader = reader

    async def list_tools(self, source: ExternalSource) -> Listing:
        """Whether it may be reached is asked before. Raises: SourceFailed; Unavailable."""
        match source.endpoint:
            case HttpEndpoint():
                return await self._over_http(source, source.endpoint)
            case StdioEndpoint():
                return await self._over_stdio(source, source.endpoint)

    async def _over_http(self, source: ExternalSource, endpoint: HttpEndpoint) -> Listing:
        secret = None
        if endpoint.secret_name is not None:
            secret = await self._secret(source, endpoint.secret_name)
        if secret is None or endpoint.authentication is not Authentication.OAUTH:
            return await self._asked(source, endpoint, secret)
        if ends_soon(secret):
            secret = await self._tokens.renewed(source.id, secret)
        try:
            return await self._asked(source, endpoint, secret)
        except SignInNeeded:
            secret = await self._tokens.renewed(source.id, secret)
            return await self._asked(source, endpoint, secret)

    async def _asked(
        self, source: ExternalSource, endpoint: HttpEndpoint, secret: SecretStr | None
    ) -> Listing:
        return await self._reader.list_tools(endpoint, secret, allow_private=source.allow_private)

    async def _over_stdio(self, source: ExternalSource, endpoint: StdioEndpoint) -> Listing:
        async with reading(self._sessions) as session:
            held = await granted(session, source.server_id)
        run = await self._sandbox.run(
            listing_bundle(endpoint, source.server_id, held), {}, trial=True
        )
        if not run.ok:
            why = "" if run.error is None else f": {run.error.message}"
            raise SourceFailed(f"It does not list its tools in the sandbox{why}")
        listed = cast("dict[str, Any]", run.result)["tools"]
        try:
            return listing_from(_TOOLS.validate_python(listed))
        except ValidationError as error:
            raise SourceFailed("It lists tools that are not as the protocol says.") from error

    async def _secret(self, source: ExternalSource, name: str) -> SecretStr:
        """Raises: SourceFailed: it does not open here."""
        async with transaction(self._sessions) as session:
            row = await get_secret_row(session, source.server_id, name)
            key_id, sealed = row.key_id, row.sealed
        value = self._vault.find(source.server_id, name, key_id, sealed)
        if value is None:
            raise SourceFailed(f"The secret {name!r} does not open with the key of the worker.")
        return value
