"""Management tools about servers: the groups that tools live in."""

from datetime import datetime

from pydantic import BaseModel, Field

from gateway.definition import (
    Caller,
    Description,
    Done,
    Name,
    PageNumber,
    PageSize,
    ToolDefinition,
    ToolInput,
    ToolOutput,
)
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.narrowing import Narrowing
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.servers import DesiredState, IsolationMode, ServerKind, ServerSummary
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import Approval, ToolSummary


class ServerView(BaseModel):
    id: ServerId
    name: str
    description: str
    kind: ServerKind = Field(
        description="external: its tools are those of an external source, and none is written here."
    )
    status: DesiredState
    tool_count: int
    released_count: int = Field(description="Tools that clients can call while the server runs.")
    open_request_count: int
    allowed_hosts: list[str] = Field(description="Hosts that its tools may reach.")
    stopped: Narrowing | None = Field(description="Who stopped it and why, while it is stopped.")
    quarantine: Narrowing | None = Field(
        description="A person took everything of it out of use; only an admin lifts that."
    )
    isolation: IsolationMode = Field(
        description="call: nothing of a call is visible to the next. release: a process serves "
        "many calls of one version, so keep nothing in it. An admin chooses."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, server: ServerSummary) -> "ServerView":
        return cls(
            id=server.id,
            name=server.name,
            description=server.description,
            kind=server.kind,
            status=server.desired_state,
            tool_count=server.tool_count,
            released_count=server.released_count,
            open_request_count=server.open_request_count,
            allowed_hosts=list(server.hosts),
            stopped=server.stopped,
            quarantine=server.quarantine,
            isolation=server.isolation,
            created_at=server.created_at,
            updated_at=server.updated_at,
        )


class ListServersInput(ToolInput):
    page: PageNumber = 1
    page_size: PageSize = 50


class ListServersOutput(ToolOutput):
    servers: list[ServerView]
    total: int
    page: int
    page_size: int
    pages: int


async def list_servers(caller: Caller, given: ListServersInput) -> ListServersOutput:
    """List the servers, by name. A server groups tools, and stopping it stops them all.

    Begin here: reuse a server that fits, else make one with mcpbox_create_server.
    """
    wanted = PageRequest(page=given.page, page_size=given.page_size)
    page = await caller.use_cases.servers.list(wanted)
    return ListServersOutput(
        servers=[ServerView.of(server) for server in page.items],
        total=page.total,
        page=page.page,
        page_size=page.page_size,
        pages=page.pages,
        next=(
            "Put a tool into one of them with mcpbox_create_tool."
            if page.total
            else "There is no server yet: make one with mcpbox_create_server."
        ),
    )


class GetServerInput(ToolInput):
    server_id: ServerId = Field(description="The server's id, from mcpbox_list_servers.")


class ServerTool(BaseModel):
    id: ToolId
    name: str
    callable_name: str
    description: str
    enabled: bool
    approval_status: Approval
    released_version: int | None

    @classmethod
    def of(cls, tool: ToolSummary) -> "ServerTool":
        return cls(
            id=tool.id,
            name=tool.name,
            callable_name=tool.callable_name,
            description=tool.description,
            enabled=tool.enabled,
            approval_status=tool.approval,
            released_version=tool.released_version,
        )


class GetServerOutput(ServerView, ToolOutput):
    tools: list[ServerTool] = Field(description="The first 100, by name.")


async def get_server(caller: Caller, given: GetServerInput) -> GetServerOutput:
    """Show one server with its tools, their approval status and the hosts it may reach."""
    server = await caller.use_cases.servers.get(given.server_id)
    tools = await caller.use_cases.tools.list(given.server_id, PageRequest(page_size=100))
    return GetServerOutput(
        **ServerView.of(server).model_dump(),
        tools=[ServerTool.of(tool) for tool in tools.items],
        next=_after_looking(server),
    )


def _after_looking(server: ServerSummary) -> str:
    if server.kind is ServerKind.EXTERNAL:
        return (
            "Its tools come from an external source: find it with mcpbox_list_external_sources, "
            "and what it offers with mcpbox_discover_external_tools."
        )
    if not server.tool_count:
        return "It has no tool yet: write one with mcpbox_create_tool."
    if server.held_back:
        return server.held_back
    if server.desired_state is DesiredState.STOPPED:
        return "It is stopped: mcpbox_start_server makes its released tools callable."
    return "See where a tool stands with mcpbox_get_tool_status."


class CreateServerInput(ToolInput):
    name: Name
    description: Description = Field(default="", description="What its tools are for.")


class CreatedServer(Done):
    id: ServerId
    name: str
    status: DesiredState


async def create_server(caller: Caller, given: CreateServerInput) -> CreatedServer:
    """Make a server for tools that belong together, for instance everything about one service.

    Its name becomes the first half of its tools' names: {server}__{tool}.
    """
    server = await caller.use_cases.servers.create(
        caller.principal, name=given.name, description=given.description
    )
    return CreatedServer(
        id=server.id,
        name=server.name,
        status=server.desired_state,
        message=f"The server {server.name!r} was made; it is {server.desired_state.value}.",
        next=f"Write a tool for it: mcpbox_create_tool with server_id {server.id}.",
    )


class ServerInput(ToolInput):
    server_id: ServerId = Field(description="The server's id, from mcpbox_list_servers.")


class ServerStatus(Done):
    id: ServerId
    name: str
    status: DesiredState
    released_count: int


async def start_server(caller: Caller, given: ServerInput) -> ServerStatus:
    """Start a server: its released tools can be listed and called from now on.

    Not what a person stopped or quarantined: that is for people to start again.
    """
    server = await caller.use_cases.servers.start(caller.principal, given.server_id)
    return _status_of(
        server,
        f"The server {server.name!r} runs; {server.released_count} of its tools can be called.",
        next_step=(
            f"Call its tools as {server.name}__<tool>; your tool list was updated."
            if server.released_count
            else "None of its tools is released yet: ask with mcpbox_request_publish."
        ),
    )


async def stop_server(caller: Caller, given: ServerInput) -> ServerStatus:
    """Stop a server at once: none of its tools can be called, and calls in flight end."""
    server = await caller.use_cases.servers.stop(caller.principal, given.server_id)
    return _status_of(
        server,
        f"The server {server.name!r} is stopped.",
        next_step="mcpbox_start_server starts it again; nothing needs a new approval.",
    )


class DeleteServerInput(ToolInput):
    server_id: ServerId = Field(description="The server's id, from mcpbox_list_servers.")
    reason: Text = Field(
        default="", max_length=REASON_MAX_LENGTH, description="Kept in the audit log."
    )


class DeletedServer(Done):
    id: ServerId


async def delete_server(caller: Caller, given: DeleteServerInput) -> DeletedServer:
    """Delete a server and all its tools at once: none can be called, and calls in flight end.

    Its grants and secrets go too, and its open requests are withdrawn. It cannot be undone; to
    pause it, use mcpbox_stop_server. What a person stopped, disabled or quarantined, only people
    delete.
    """
    name = await caller.use_cases.deletion.delete(caller.principal, given.server_id, given.reason)
    return DeletedServer(
        id=given.server_id,
        message=f"The server {name!r} was deleted, with all its tools.",
        next="Its name may be used again; a new server has none of its grants.",
    )


def _status_of(server: ServerSummary, message: str, *, next_step: str) -> ServerStatus:
    return ServerStatus(
        id=server.id,
        name=server.name,
        status=server.desired_state,
        released_count=server.released_count,
        message=message,
        next=next_step,
    )


SERVER_TOOLS = (
    ToolDefinition(
        "mcpbox_list_servers",
        "List servers",
        ListServersInput,
        ListServersOutput,
        list_servers,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_get_server",
        "Show a server",
        GetServerInput,
        GetServerOutput,
        get_server,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_create_server",
        "Create a server",
        CreateServerInput,
        CreatedServer,
        create_server,
        edits=True,
    ),
    ToolDefinition(
        "mcpbox_start_server",
        "Start a server",
        ServerInput,
        ServerStatus,
        start_server,
        idempotent=True,
    ),
    ToolDefinition(
        "mcpbox_stop_server",
        "Stop a server",
        ServerInput,
        ServerStatus,
        stop_server,
        destructive=True,
        idempotent=True,
    ),
    ToolDefinition(
        "mcpbox_delete_server",
        "Delete a server",
        DeleteServerInput,
        DeletedServer,
        delete_server,
        destructive=True,
        edits=True,
    ),
)
