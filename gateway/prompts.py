"""Prompts: what a person picks so that their model sets about a task in the right way."""

from collections.abc import Callable

from mcp import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)

from gateway import icons
from gateway.announcer import Context
from gateway.guide import GUIDE
from gateway.line import Line
from gateway.resource_kinds import GUIDE_URI, MARKDOWN

WRITE_A_TOOL = Prompt(
    name="write_a_tool",
    title="Write a tool",
    description="Write, try and ask to publish a tool, after the guide that comes with it.",
    arguments=[
        PromptArgument(
            name="purpose", description="What the tool is to do, and for whom.", required=True
        ),
        PromptArgument(
            name="server", description="Name of the server it belongs to; left out, choose one."
        ),
    ],
    icons=icons.GUIDE,
)
_TASK = """\
Write an MCPbox tool for this purpose: {purpose}

{server} Work by the guide above, step by step: check the code, try it, mend what fails, then ask \
people to publish it with notes that say what it is for, what it reaches and how you tried it. \
Ask for no more access than it needs. Wait for the decision once or twice, then tell me where it \
stands.\
"""


class Prompts:
    def __init__(self, line_of: Callable[[Context], Line]) -> None:
        self._line_of = line_of

    async def list(self, context: Context, _: PaginatedRequestParams | None) -> ListPromptsResult:
        shown = self._line_of(context).authoring
        return ListPromptsResult(prompts=[WRITE_A_TOOL] if shown else [])

    async def get(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Raises: MCPError: no such prompt, or not for this client; an argument is missing."""
        if params.name != WRITE_A_TOOL.name or not self._line_of(context).authoring:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {params.name[:200]!r}.")
        given = params.arguments or {}
        purpose, server = given.get("purpose", "").strip(), given.get("server", "").strip()
        if not purpose:
            raise MCPError(
                INVALID_PARAMS, "write_a_tool needs the argument 'purpose': what the tool is to do."
            )
        where = f"It belongs to the server {server!r}." if server else "Choose a fitting server."
        guide = TextResourceContents(uri=GUIDE_URI, mime_type=MARKDOWN, text=GUIDE)
        return GetPromptResult(
            description=WRITE_A_TOOL.description,
            messages=[
                PromptMessage(role="user", content=EmbeddedResource(resource=guide)),
                PromptMessage(
                    role="user",
                    content=TextContent(text=_TASK.format(purpose=purpose, server=where)),
                ),
            ],
        )
