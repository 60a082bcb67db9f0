"""What routes ask for: the use cases, who is calling, and which page they want."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from temporalio.converter import PayloadCodec

from mcpbox.domain.base import PageRequest
from mcpbox.domain.decisions import Channel
from mcpbox.domain.errors import Unauthenticated
from mcpbox.domain.people import Principal, PrincipalKind
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.session import Sessions
from mcpbox.temporal import TemporalGate
from mcpbox.usecases.audit import Audit
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.executions import Executions
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.grants import Grants
from mcpbox.usecases.notices import Notices
from mcpbox.usecases.people import People
from mcpbox.usecases.receipts import Receipts
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.review_policy import ReviewPolicies
from mcpbox.usecases.reviewing import Reviewing
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.source_needs import SourceNeeds
from mcpbox.usecases.source_sign_in import SourceSignIn
from mcpbox.usecases.tool_switches import ToolSwitches
from mcpbox.usecases.tools import Tools
from mcpbox.usecases.users import Users

PANEL_ADDRESS = "panel"
"""Peer address of the panel's in-process transport; no address of a socket looks like this."""


@dataclass(frozen=True, slots=True)
class CodecServer:
    codec: PayloadCodec
    origin: str
    """Of the Web UI, exactly: no page elsewhere is answered."""
    cookie: str
    """The panel's; a browser sends it along from the Web UI, which runs on the same host."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the routes stand on; made once, in ``main()``."""

    sessions: Sessions
    temporal: TemporalGate
    sandbox: SandboxClient
    people: People
    users: Users
    clients: Clients
    servers: Servers
    deletion: ServerDeletion
    tools: Tools
    switches: ToolSwitches
    requests: Requests
    grants: Grants
    releases: Releases
    secrets: Secrets
    sources: Sources
    source_needs: SourceNeeds
    sign_in: SourceSignIn
    panel_url: str
    """What addresses of the panel begin with, as browsers reach it."""
    reviewing: Reviewing
    receipts: Receipts
    executions: Executions
    audit: Audit
    review_policies: ReviewPolicies
    codec_server: CodecServer
    recoveries: Recoveries
    notices: Notices


def parts_of(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]
_bearer = HTTPBearer(auto_error=False, description="The access_token of POST /auth/login.")
BearerDep = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def access_token(bearer: BearerDep) -> str:
    """Raises: Unauthenticated."""
    if bearer is None:
        raise Unauthenticated(
            "Log in with POST /api/v1/auth/login and send 'Authorization: Bearer <access_token>'."
        )
    return bearer.credentials


TokenDep = Annotated[str, Depends(access_token)]


async def current_person(parts: PartsDep, token: TokenDep) -> Principal:
    """A token of an MCP client opens no session, so it never gets past here (I3).

    Raises: Unauthenticated.
    """
    return await parts.people.whoami(token)


PersonDep = Annotated[Principal, Depends(current_person)]


async def whoever_decides(parts: PartsDep, token: TokenDep) -> Principal:
    """A client is made out too, so that the one rule refuses it and the attempt is on record.

    Raises: Unauthenticated.
    """
    try:
        return await parts.people.whoami(token)
    except Unauthenticated as error:
        try:
            client = await parts.clients.authenticate(token)
        except Unauthenticated:
            raise error from None
        return Principal(kind=PrincipalKind.CLIENT, name=client.name, scopes=client.scopes)


DeciderDep = Annotated[Principal, Depends(whoever_decides)]


def channel_of(request: Request) -> Channel:
    """Told by how the call came in, which its sender cannot choose."""
    peer = request.client.host if request.client else ""
    return Channel.PANEL if peer == PANEL_ADDRESS else Channel.API


ChannelDep = Annotated[Channel, Depends(channel_of)]


def page_request(
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PageRequest:
    return PageRequest(page=page, page_size=page_size)


PageDep = Annotated[PageRequest, Depends(page_request)]
