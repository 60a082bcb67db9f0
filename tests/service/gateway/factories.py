"""Valid objects by default; a test names only what it is about."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from mcp_types import Tool
from pydantic import SecretStr

from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool, SourceAccess
from mcpbox.domain.digests import digest_of
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.ids import Digest, ExecutionId, ServerId, SourceId, ToolId, VersionId
from mcpbox.domain.manifests import Granted
from mcpbox.domain.modules import GrantedModule, Requirement
from mcpbox.domain.requests import RequestSummary
from mcpbox.domain.secrets import HeldSecret
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.tools import (
    Annotations,
    ToolVersion,
    VersionContent,
)
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.upstream.reader import listed_tool
from mcpbox.upstream.tokens import SignInClient, TokenSet
from mcpbox.usecases.offers import content_of
from mcpbox.usecases.tools import content_from
from tests.mcp_sources import Source

WAIT_S = 30.0
ADD = "async def main(a: int, b: int = 2) -> dict:\n    return {'sum': a + b}\n"


def a_version(written: str = ADD, **changes: Any) -> ToolVersion:
    """Of a tool of its own, with the digest of what it holds."""
    content = content_from(
        name="add", code=written, description="Adds.", input_schema=None, annotations=Annotations()
    )
    fields = content.model_dump() | {
        "id": VersionId(uuid4()),
        "tool_id": ToolId(uuid4()),
        "number": 1,
        "digest": digest_of(content),
        "author": "client:laptop",
        "created_at": utc_now(),
    }
    version = ToolVersion.model_validate(fields | changes)
    return version.model_copy(update={"digest": digest_of(version)})


def a_callable(
    version: ToolVersion | None = None, *, server: str = "calc", **changes: Any
) -> CallableTool:
    version = version or a_version()
    fields: dict[str, Any] = {
        "server_id": ServerId(uuid4()),
        "server_name": server,
        "server_state": DesiredState.RUNNING,
        "enabled": True,
        "version": version,
        "approved_digest": version.digest,
        "receipt": "{}",
        "granted": Granted(),
    }
    return CallableTool(**(fields | changes))


def an_execution(**changes: Any) -> Execution:
    fields: dict[str, Any] = {
        "id": ExecutionId(uuid4()),
        "tool_id": ToolId(uuid4()),
        "tool_name": "calc__add",
        "version_number": 1,
        "digest": Digest("sha256:" + "0" * 64),
        "caller": "client:laptop",
        "origin": Origin.CALL,
        "outcome": ExecutionOutcome.OK,
        "arguments": {},
        "result": "3",
        "error": "",
        "stdout": "",
        "duration_ms": 1.0,
        "started_at": utc_now(),
    }
    return Execution(**(fields | changes))


def a_granted_module(requirement: Requirement, request: RequestSummary) -> GrantedModule:
    return GrantedModule(
        **requirement.model_dump(),
        version="1.0",
        request_id=request.id,
        requester=request.requester,
        granted_by="ana",
        granted_at=utc_now(),
    )


async def soon(waiting: Awaitable[Any]) -> Any:
    """Wait for it, but never for long."""
    async with asyncio.timeout(WAIT_S):
        return await waiting


def a_passing(
    source: Source,
    tool: Tool | None = None,
    *,
    secret: str | None = None,
    authentication: Authentication = Authentication.BEARER,
    **changes: Any,
) -> CallableTool:
    """``shop__echo``, say, as it is once somebody approved what the source offers of it."""
    endpoint = HttpEndpoint(
        url=source.url,
        authentication=authentication if secret else Authentication.NONE,
        secret_name="KEY" if secret else None,
    )
    listed = listed_tool(tool or source.tools[0])
    content = content_of(endpoint, listed)
    version = a_version(**{name: getattr(content, name) for name in VersionContent.model_fields})
    granted = Granted(
        hosts=frozenset({str(endpoint.access)}), secrets=frozenset({"KEY"} if secret else ())
    )
    held = HeldSecret(value=SecretStr(secret or "-"), hosts=(endpoint.access.authority,))
    fields: dict[str, Any] = {
        "server": "shop",
        "granted": granted,
        "secrets": {"KEY": held} if secret else {},
        "source": SourceAccess(source_id=SourceId(uuid4()), allow_private=True),
    }
    return a_callable(version, **(fields | changes))


def a_token_set(access_token: str, *, lasts: timedelta = timedelta(hours=1)) -> TokenSet:
    client = SignInClient(
        issuer="https://as.example.com",
        token_endpoint="https://as.example.com/token",
        client_id="ours",
        resource="https://shop.example.com/mcp",
    )
    return TokenSet(
        client=client,
        access_token=access_token,
        refresh_token="renew-me-please",
        expires_at=utc_now() + lasts,
    )
