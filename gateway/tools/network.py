"""Management tools about hosts: to ask that a server's tools may reach one."""

from pydantic import Field

from gateway.definition import Caller, Done, ToolDefinition, ToolInput
from mcpbox.domain.hosts import HOST_MAX_LENGTH, METHODS, PATH_MAX_LENGTH, HostAccess
from mcpbox.domain.ids import RequestId, ServerId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import Days
from mcpbox.domain.texts import Text


class RequestNetworkAccessInput(ToolInput):
    server_id: ServerId = Field(description="The server's id, from mcpbox_list_servers.")
    host: Text = Field(
        min_length=1,
        max_length=HOST_MAX_LENGTH,
        description="Its name alone, as the code names it: api.example.com. No wildcards.",
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Left out: 80 and 443, the standard ones."
    )
    methods: list[Text] = Field(
        default_factory=list,
        max_length=len(METHODS),
        description="Only these, such as GET; left out, all. Less is approved more easily.",
    )
    path_prefix: Text = Field(
        default="",
        max_length=PATH_MAX_LENGTH,
        description="Only paths below it, in whole segments: /v1/forecast. Left out: all.",
    )
    days: Days | None = Field(
        default=None, description="How long it is needed; left out, until somebody revokes it."
    )
    notes: Text = Field(
        min_length=1,
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: what is sent there and why it is needed.",
    )


class RequestedNetworkAccess(Done):
    request_id: RequestId
    host: str = Field(description="All that is asked for: methods, host, port and path prefix.")
    state: State


async def request_network_access(
    caller: Caller, given: RequestNetworkAccessInput
) -> RequestedNetworkAccess:
    """Ask people to let a server's tools reach a host.

    Ask for as little as the tool needs: methods and a path prefix. Hosts that a tool's code names
    in full are asked for by mcpbox_request_publish as well; use this one to try them before, in
    mcpbox_test_code, to ask for less than a whole host, or for a grant that ended or was revoked.
    A tool reaches only hosts that its own code names.
    """
    access = HostAccess(
        host=given.host,
        port=given.port,
        methods=tuple(given.methods),
        path_prefix=given.path_prefix,
    )
    request = await caller.use_cases.network.request_access(
        caller.principal,
        given.server_id,
        access,
        days=given.days,
        justification=given.notes,
    )
    return RequestedNetworkAccess(
        request_id=request.id,
        host=str(access),
        state=request.state,
        message=f"The host {access} was asked for.",
        next=(
            "A person has to decide; follow it with mcpbox_list_pending_requests, and with "
            "include_finished once it has left that list."
        ),
    )


NETWORK_TOOLS = (
    ToolDefinition(
        "mcpbox_request_network_access",
        "Ask for a host",
        RequestNetworkAccessInput,
        RequestedNetworkAccess,
        request_network_access,
        idempotent=True,
    ),
)
