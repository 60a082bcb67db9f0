"""Management tools for many tools: find released ones by words, describe one, and call it."""

from typing import Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from gateway.definition import Caller, ToolDefinition, ToolInput, ToolOutput
from gateway.released import ReleasedTool
from gateway.views import CALL_TOOL, DESCRIBE_TOOL, SEARCH_TOOL
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import NotFound
from mcpbox.domain.people import Scope
from mcpbox.domain.texts import JsonObject, Text
from mcpbox.policies.call import may_call

_QUERY_MAX_LENGTH = 400


class FoundTool(BaseModel):
    name: str = Field(description="As it is called: {server}__{tool}.")
    description: str


class SearchToolsInput(ToolInput):
    query: Text = Field(
        min_length=1,
        max_length=_QUERY_MAX_LENGTH,
        description="What the tool should do, in words: 'convert currency', 'open issues'.",
    )
    limit: int = Field(default=10, ge=1, le=50, description="So many at most, best first.")


class SearchToolsOutput(ToolOutput):
    tools: list[FoundTool]


async def search_tools(caller: Caller, given: SearchToolsInput) -> SearchToolsOutput:
    """Find tools that can be called now, by what they do: best matches first.

    Words of the tools' names and descriptions are compared, in any form ("converts" finds
    "convert"); a tool needs not match them all.
    """
    names = await caller.use_cases.tools.search(given.query)
    callable_now = {tool.name: tool for tool in caller.catalog.visible_to(caller.principal)}
    found = [callable_now[name] for name in names if name in callable_now][: given.limit]
    return SearchToolsOutput(
        tools=[
            FoundTool(name=tool.name, description=tool.tool.version.description) for tool in found
        ],
        next=_after_searching(caller, found),
    )


def _after_searching(caller: Caller, found: list[ReleasedTool]) -> str:
    if not found:
        return "Nothing matches: try other words, or write the tool with mcpbox_create_tool."
    if caller.line.view.searching:
        return f"Read how one is called with {DESCRIBE_TOOL}, then call it with {CALL_TOOL}."
    return "Call one by its name: it is in your list of tools."


class DescribeToolInput(ToolInput):
    name: Text = Field(max_length=200, description=f"As {SEARCH_TOOL} told it.")


class DescribeToolOutput(ToolOutput):
    name: str
    description: str
    input_schema: dict[str, Any] = Field(description="JSON Schema of its arguments.")
    hints: dict[str, bool | None] = Field(description="What it does to the world, as it says.")


async def describe_tool(caller: Caller, given: DescribeToolInput) -> DescribeToolOutput:
    """Show what a tool does and which arguments it takes."""
    tool = _callable(caller, given.name)
    return DescribeToolOutput(
        name=tool.name,
        description=tool.tool.version.description,
        input_schema=dict(tool.listing.input_schema),
        hints=tool.tool.version.annotations.model_dump(),
        next=f"Call it with {CALL_TOOL}.",
    )


class CallToolInput(ToolInput):
    name: Text = Field(max_length=200, description=f"As {SEARCH_TOOL} told it.")
    arguments: JsonObject = Field(
        default_factory=dict, description=f"As {DESCRIBE_TOOL} described them."
    )


async def call_tool(caller: Caller, given: CallToolInput) -> CallToolResult:
    """Call a tool by its name; it answers as it would if it were in your list."""
    return await caller.calls.call(caller.line, given.name, given.arguments, caller.on_output)


def _callable(caller: Caller, name: str) -> ReleasedTool:
    """Raises: NotFound: no such tool; Refused: it cannot be called now."""
    found = caller.catalog.find(name)
    if found is None:
        raise NotFound("tool", name)
    (may_call(found.tool, caller.principal, utc_now()) and found.ruling).require()
    return found


SEARCH_TOOLS = (
    ToolDefinition(
        SEARCH_TOOL,
        "Search tools",
        SearchToolsInput,
        SearchToolsOutput,
        search_tools,
        read_only=True,
        scope=Scope.CALL,
    ),
    ToolDefinition(
        DESCRIBE_TOOL,
        "Describe a tool",
        DescribeToolInput,
        DescribeToolOutput,
        describe_tool,
        read_only=True,
        scope=Scope.CALL,
    ),
    ToolDefinition[CallToolInput, ToolOutput](
        CALL_TOOL,
        "Call a tool",
        CallToolInput,
        None,
        call_tool,
        destructive=True,
        open_world=True,
        scope=Scope.CALL,
    ),
)
