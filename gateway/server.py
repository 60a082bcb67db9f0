"""The MCP face: one protocol server for both eras, over the declared and the released tools."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import structlog
from mcp import MCPError
from mcp.server import (
    CacheHint,
    InitializationOptions,
    NotificationOptions,
    Server,
    ServerRequestContext,
)
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    NotificationParams,
    PaginatedRequestParams,
)

from gateway import icons
from gateway.announcer import Announcer
from gateway.answers import (
    crashed,
    failed,
    internal_error,
    require_plain_json,
    within_limit,
)
from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.definition import Answer, Caller, UseCases
from gateway.invitation import Invitation
from gateway.line import Line
from gateway.progress import teller_for
from gateway.prompts import Prompts
from gateway.resources import Resources
from gateway.tools import TOOLS
from mcpbox.domain.errors import DomainError, NotFound
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.news import RequestNews

INSTRUCTIONS = """\
MCPbox lets you write your own tools, which people approve before anybody can call them.
1. mcpbox_list_servers, or mcpbox_create_server: a server groups tools.
2. mcpbox_create_tool: Python with an `async def main(...)`; its parameters are the tool's.
3. mcpbox_test_code runs the newest version in the sandbox; mend it with mcpbox_update_tool.
4. mcpbox_request_publish asks a person; mcpbox_wait_for_request waits for what they say.
5. Once approved, the tool is in your list as {server}__{tool}: call it.
The resource mcpbox://guide says how code is written here.
Answers say under "next" what to do next. Nothing you do can approve a request.
"""

Context = ServerRequestContext[Any, Any]
log = structlog.get_logger()


class McpServer(Server[Any]):
    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        # The HTTP transport passes no options, and then handshake-era clients are told that the
        # list of tools never changes.
        return super().create_initialization_options(
            notification_options or NotificationOptions(tools_changed=True),
            experimental_capabilities,
            extensions,
        )


class McpFace:
    """Handlers; what they know of the caller comes with each request, never from a session."""

    def __init__(
        self,
        *,
        line_of: Callable[[Context], Line],
        use_cases: UseCases,
        catalog: Catalog,
        calls: Calls,
        announcer: Announcer,
        version: str,
        settings: Callable[[], SecuritySettings] = SecuritySettings,
        news: RequestNews | None = None,
        panel_url: str = "",
    ) -> None:
        """``panel_url``: what links to the panel begin with, without a slash at the end."""
        self._line_of = line_of
        self._use_cases = use_cases
        self._catalog = catalog
        self._calls = calls
        self._settings = settings
        self._news = news or RequestNews()
        self._panel_url = panel_url
        resources = Resources(use_cases, line_of, announcer)
        prompts = Prompts(line_of)
        self.server = McpServer(
            "mcpbox",
            version=version,
            title="MCPbox",
            instructions=INSTRUCTIONS,
            icons=icons.MCPBOX,
            cache_hints={"tools/list": CacheHint(ttl_ms=0, scope="private")},
            # Without it every modern call with arguments would list all tools first.
            get_tool_input_schema=self._schema_of,
            on_call_tool=self._call_tool,
            on_list_resources=resources.list,
            on_list_resource_templates=resources.templates,
            on_read_resource=resources.read,
            on_subscribe_resource=resources.subscribe,
            on_unsubscribe_resource=resources.unsubscribe,
            on_list_prompts=prompts.list,
            on_get_prompt=prompts.get,
            on_subscriptions_listen=announcer.listen,
        )
        # Not as the typed handler, whose thousand models would be made into these for each client.
        self.server.add_request_handler("tools/list", PaginatedRequestParams, self._list_tools)
        self.server.add_notification_handler(
            "notifications/initialized", NotificationParams, announcer.register
        )

    async def _list_tools(
        self, context: Context, _: PaginatedRequestParams | None
    ) -> dict[str, Any]:
        """One page: a good part of the clients in use never asks for a second."""
        try:
            tools = self._visible_to(self._line_of(context))
        except Exception:
            # The protocol boundary: a handshake-era client would be sent the exception's text.
            reference = uuid4().hex[:12]
            log.exception("tools_list.crashed", reference=reference)
            raise MCPError(INTERNAL_ERROR, internal_error(reference)) from None
        return {"tools": tools, "resultType": "complete"}

    async def _call_tool(self, context: Context, params: CallToolRequestParams) -> Answer:
        try:
            answer = await self._call(context, params)
            return within_limit(answer) if isinstance(answer, CallToolResult) else answer
        except MCPError:
            raise
        except DomainError as error:
            return failed(error)
        except Exception:
            # The protocol boundary: a handshake-era client would be sent the exception's text.
            reference = uuid4().hex[:12]
            log.exception("tool_call.crashed", reference=reference, tool=params.name)
            return crashed(reference)

    async def _call(self, context: Context, params: CallToolRequestParams) -> Answer:
        name, arguments = params.name, params.arguments or {}
        require_plain_json(arguments)
        line, tell = self._line_of(context), teller_for(context)
        declared = TOOLS.get(name) if line.view.shows_declared(name) else None
        if declared is not None:
            caller = Caller(
                line=line,
                use_cases=self._use_cases,
                on_output=tell,
                settings=self._settings(),
                catalog=self._catalog,
                calls=self._calls,
                news=self._news,
                invitation=Invitation(context, params, line),
                panel_url=self._panel_url,
            )
            return await declared.call(caller, arguments)
        try:
            self._require_shown(line, name)
            return await self._calls.call(line, name, arguments, tell)
        except NotFound:
            raise MCPError(
                INVALID_PARAMS,
                f"There is no tool {name[:200]!r}. List the tools again: they change when one is "
                "approved, stopped or withdrawn.",
            ) from None

    def _visible_to(self, line: Line) -> list[Mapping[str, Any]]:
        settings = self._settings()
        declared = [
            tool.listed
            for tool in TOOLS.values()
            if line.view.shows_declared(tool.name) and tool.may_use(line, settings)
        ]
        released = line.view.released(self._catalog.visible_to(line.principal))
        return sorted(
            [*declared, *(tool.listed for tool in released)], key=lambda tool: tool["name"]
        )

    def _require_shown(self, line: Line, name: str) -> None:
        """Raises: NotFound: another view may show it."""
        found = self._catalog.find(name)
        if found is not None and not line.view.shows_released(found):
            raise NotFound("tool", name)

    def _schema_of(self, name: str) -> Mapping[str, Any] | None:
        declared = TOOLS.get(name)
        return declared.listing.input_schema if declared else self._catalog.schema_of(name)
