"""What one address shows of the tools: all of them, those of one server, or a way to find them."""

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from gateway.released import ReleasedTool

SEARCH_TOOL = "mcpbox_search_tools"
DESCRIBE_TOOL = "mcpbox_describe_tool"
CALL_TOOL = "mcpbox_call_tool"
_FOR_SEARCHING = frozenset({SEARCH_TOOL, DESCRIBE_TOOL, CALL_TOOL})


@dataclass(frozen=True, slots=True)
class View:
    """Narrows what a client sees and calls, and opens nothing: each call is judged as ever."""

    server: str | None = None
    """Only released tools of this server, and no management tools."""
    searching: bool = False
    """A search, a description and a call in place of a list that fills the model's context."""

    def shows_declared(self, name: str) -> bool:
        if self.server is not None:
            return False
        return name in _FOR_SEARCHING if self.searching else name not in {DESCRIBE_TOOL, CALL_TOOL}

    def shows_released(self, tool: ReleasedTool) -> bool:
        return not self.searching and self.server in {None, tool.tool.server_name}

    def released(self, tools: Iterable[ReleasedTool]) -> list[ReleasedTool]:
        return [tool for tool in tools if self.shows_released(tool)]


EVERYTHING = View()
PATHS = ("/mcp", "/search/mcp", "/s/{server}/mcp")


def routes_to(endpoint: ASGIApp) -> list[Route]:
    """The addresses of the views, all served by one endpoint."""
    return [Route(path, endpoint) for path in PATHS]


def view_at(scope: Scope) -> View:
    """Of the request's own address: a session that was begun at another one changes nothing."""
    server = scope.get("path_params", {}).get("server")
    if server is not None:
        return View(server=server)
    return View(searching=True) if scope["path"].startswith("/search/") else EVERYTHING
