"""Management tools about tools: write, read, change and delete them."""

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field, WithJsonSchema

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
from mcpbox.domain.errors import Invalid
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.narrowing import Narrowing
from mcpbox.domain.texts import JsonObject, Text
from mcpbox.domain.tools import Annotations, Approval, ToolDetail, ToolSummary
from mcpbox.domain.upstreams import Upstream

_HINTS: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "What the tool does to the world, as hints for the clients that call it.",
    "properties": {
        "read_only": {"type": "boolean", "description": "It changes nothing."},
        "destructive": {"type": "boolean", "description": "It may delete or overwrite."},
        "idempotent": {"type": "boolean", "description": "Calling it twice is calling it once."},
        "open_world": {"type": "boolean", "description": "It talks to systems outside."},
    },
    "additionalProperties": False,
}
Hints = Annotated[Annotations | None, WithJsonSchema(_HINTS)]
_CODE_NAMES = AliasChoices("python_code", "code")
_CODE_RULES = (
    "Python with an `async def main(...)`, at most 256 KB. Its annotated parameters become the "
    "input schema (a default makes one optional), its JSON-like return value the result. `print` "
    "goes to the log; `http` is an HTTP client for granted hosts."
)


InputSchema = Annotated[
    JsonObject | None,
    Field(
        description=(
            "Leave it out: it is read from the signature of main. Give one only to say more, for "
            'instance enum or minimum; it must have "type": "object".'
        )
    ),
]


class ToolView(BaseModel):
    id: ToolId
    server_id: ServerId
    server_name: str
    name: str
    callable_name: str = Field(description="The name under which clients call it once released.")
    description: str
    enabled: bool
    approval_status: Approval
    current_version: int
    released_version: int | None
    disabled: Narrowing | None = Field(description="Who disabled it and why, while it is.")
    quarantine: Narrowing | None = Field(
        description="A person took it out of use; only an admin lifts that."
    )
    revoked: Narrowing | None = Field(
        description="A person took its last release away, and nothing was released since."
    )

    @classmethod
    def of(cls, tool: ToolSummary) -> "ToolView":
        return cls(
            id=tool.id,
            server_id=tool.server_id,
            server_name=tool.server_name,
            name=tool.name,
            callable_name=tool.callable_name,
            description=tool.description,
            enabled=tool.enabled,
            approval_status=tool.approval,
            current_version=tool.current_version,
            released_version=tool.released_version,
            disabled=tool.disabled,
            quarantine=tool.quarantine,
            revoked=tool.revoked,
        )


class ListToolsInput(ToolInput):
    server_id: ServerId | None = Field(
        default=None, description="Only this server's tools; left out, the tools of all servers."
    )
    page: PageNumber = 1
    page_size: PageSize = 50


class ListToolsOutput(ToolOutput):
    tools: list[ToolView]
    total: int
    page: int
    page_size: int
    pages: int


async def list_tools(caller: Caller, given: ListToolsInput) -> ListToolsOutput:
    """List tools with their approval status: draft, pending_review, approved or rejected.

    These are the tools you write and manage; the ones you can call are in your client's tool list.
    """
    wanted = PageRequest(page=given.page, page_size=given.page_size)
    page = await caller.use_cases.tools.list(given.server_id, wanted)
    return ListToolsOutput(
        tools=[ToolView.of(tool) for tool in page.items],
        total=page.total,
        page=page.page,
        page_size=page.page_size,
        pages=page.pages,
        next=(
            f"More on page {page.page + 1}."
            if page.page < page.pages
            else "Read one with mcpbox_get_tool, or see where it stands: mcpbox_get_tool_status."
        ),
    )


class ToolIdInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")


class PassesTo(BaseModel):
    endpoint: str = Field(description="Of the external source.")
    tool: str = Field(description="What the source calls it.")
    title: str
    output_schema: dict[str, Any] | None

    @classmethod
    def of(cls, upstream: Upstream) -> "PassesTo":
        return cls(
            endpoint=upstream.endpoint.label,
            tool=upstream.tool,
            title=upstream.title,
            output_schema=upstream.output_schema,
        )


class GetToolOutput(ToolView, ToolOutput):
    input_schema: dict[str, Any]
    python_code: str = Field(
        description="The newest version's, released or not; empty where it passes its calls on."
    )
    passes_to: PassesTo | None = Field(
        description="The tool of an external source that its calls are passed on to."
    )
    hosts: list[str] = Field(description="Hosts that this version needs.")
    modules: list[str] = Field(description="Modules that this version needs.")
    digest: str = Field(description="What an approval of the newest version is bound to.")


async def get_tool(caller: Caller, given: ToolIdInput) -> GetToolOutput:
    """Read a tool's newest code, input schema and needs, for instance before changing it."""
    tool = await caller.use_cases.tools.get(given.tool_id)
    return GetToolOutput(
        **ToolView.of(tool).model_dump(),
        input_schema=tool.current.input_schema,
        python_code=tool.current.code,
        passes_to=tool.current.passes_to and PassesTo.of(tool.current.passes_to),
        hosts=list(tool.current.manifest.hosts),
        modules=list(tool.current.manifest.modules),
        digest=tool.current.digest,
        next=_after_change(tool),
    )


class CreateToolInput(ToolInput):
    server_id: ServerId = Field(description="The server's id, from mcpbox_list_servers.")
    name: Name
    python_code: Text = Field(validation_alias=_CODE_NAMES, description=_CODE_RULES)
    description: Description = Field(
        default="",
        description="What the tool does and when to use it, for the model that will call it.",
    )
    input_schema: InputSchema = None
    annotations: Hints = None


class SavedTool(Done):
    id: ToolId
    name: str
    callable_name: str
    version: int
    approval_status: Approval
    input_schema: dict[str, Any] = Field(description="Read from the signature of main.")
    hosts: list[str] = Field(description="Hosts that a reviewer will be asked to grant with it.")


async def create_tool(caller: Caller, given: CreateToolInput) -> SavedTool:
    """Write a new tool as a draft. Nobody can call it before a person approved it.

    Next: try it with mcpbox_test_code, then ask with mcpbox_request_publish.
    """
    tool = await caller.use_cases.tools.create(
        caller.principal,
        given.server_id,
        name=given.name,
        code=given.python_code,
        description=given.description,
        input_schema=given.input_schema,
        annotations=given.annotations,
    )
    return _saved(tool, f"The tool {tool.name!r} was saved as a draft.")


class UpdateToolInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")
    name: Name | None = None
    description: Description | None = None
    python_code: Text | None = Field(
        default=None, validation_alias=_CODE_NAMES, description=_CODE_RULES
    )
    enabled: bool | None = Field(
        default=None, description="false takes the tool out of every client's list at once."
    )
    input_schema: InputSchema = None
    annotations: Hints = None


async def update_tool(caller: Caller, given: UpdateToolInput) -> SavedTool:
    """Change a tool; what you leave out stays. A new name, description or code is a new version.

    The released version stays callable, unchanged, until a person approves the new one:
    try it with mcpbox_test_code, then ask with mcpbox_request_publish.
    """
    changes = given.model_dump(exclude={"tool_id"}, exclude_none=True)
    if not changes:
        raise Invalid(
            "Nothing to change: give at least one of name, description, python_code, enabled, "
            "input_schema or annotations."
        )
    tool = await caller.use_cases.tools.update(
        caller.principal,
        given.tool_id,
        name=given.name,
        description=given.description,
        code=given.python_code,
        enabled=given.enabled,
        input_schema=given.input_schema,
        annotations=given.annotations,
    )
    return _saved(tool, f"The tool {tool.name!r} was changed: {', '.join(sorted(changes))}.")


class DeletedTool(Done):
    id: ToolId


async def delete_tool(caller: Caller, given: ToolIdInput) -> DeletedTool:
    """Delete a tool and take it out of every client's list at once. It cannot be undone."""
    await caller.use_cases.tools.delete(caller.principal, given.tool_id)
    return DeletedTool(id=given.tool_id, message="The tool was deleted.")


def _saved(tool: ToolDetail, message: str) -> SavedTool:
    return SavedTool(
        id=tool.id,
        name=tool.name,
        callable_name=tool.callable_name,
        version=tool.current_version,
        approval_status=tool.approval,
        input_schema=tool.current.input_schema,
        hosts=list(tool.current.manifest.hosts),
        message=message,
        next=_after_change(tool),
    )


def _after_change(tool: ToolDetail) -> str:
    if tool.held_back:
        return tool.held_back
    match tool.approval:
        case Approval.DRAFT if tool.current.passes_to is not None:
            return "Ask a person to approve it with mcpbox_import_external_tools."
        case Approval.DRAFT:
            return (
                f"Try version {tool.current_version} with mcpbox_test_code, then ask a person to "
                "approve it with mcpbox_request_publish."
            )
        case Approval.PENDING_REVIEW:
            return "A person has to decide; follow it with mcpbox_get_tool_status."
        case Approval.APPROVED if not tool.enabled:
            return "It is approved but disabled: mcpbox_update_tool with enabled true brings it."
        case Approval.APPROVED:
            return f"It is released: call it as {tool.callable_name} while its server runs."
        case Approval.REJECTED:
            return "It was rejected: mcpbox_get_tool_status says why; change it and ask again."


TOOL_TOOLS = (
    ToolDefinition(
        "mcpbox_list_tools",
        "List tools",
        ListToolsInput,
        ListToolsOutput,
        list_tools,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_get_tool", "Read a tool", ToolIdInput, GetToolOutput, get_tool, read_only=True
    ),
    ToolDefinition(
        "mcpbox_create_tool",
        "Write a new tool",
        CreateToolInput,
        SavedTool,
        create_tool,
        edits=True,
    ),
    ToolDefinition(
        "mcpbox_update_tool",
        "Change a tool",
        UpdateToolInput,
        SavedTool,
        update_tool,
        idempotent=True,
        edits=True,
    ),
    ToolDefinition(
        "mcpbox_delete_tool",
        "Delete a tool",
        ToolIdInput,
        DeletedTool,
        delete_tool,
        destructive=True,
        edits=True,
    ),
)
