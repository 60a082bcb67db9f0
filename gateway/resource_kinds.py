"""What a model that writes tools can read beside calling tools: a guide, and facts by id."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from mcp_types import Annotations, Resource, ResourceTemplate
from pydantic import BaseModel, Field

from gateway import icons
from gateway.definition import UseCases
from gateway.guide import GUIDE
from gateway.tools.modules import ServerModulesView
from gateway.tools.releases import VersionView
from gateway.tools.request_views import CommentView, DecisionView, RequestStanding
from mcpbox.domain.base import PageRequest
from mcpbox.domain.ids import RequestId, ServerId, ToolId

JSON = "application/json"
MARKDOWN = "text/markdown"
GUIDE_URI = "mcpbox://guide"
THE_GUIDE = Resource(
    uri=GUIDE_URI,
    name="guide",
    title="How to write a tool",
    description="What code finds, its limits, and the way to a released tool. Read it first.",
    mime_type=MARKDOWN,
    size=len(GUIDE.encode()),
    annotations=Annotations(audience=["assistant"], priority=1.0),
    icons=icons.GUIDE,
)

Read = Callable[[UseCases, UUID], Awaitable[BaseModel]]


@dataclass(frozen=True)
class Kind:
    """Not listed one by one, which would change with each of them: they are in a template."""

    template: ResourceTemplate
    read: Read
    """Raises: NotFound; Unavailable."""

    def id_in(self, uri: str) -> UUID | None:
        """``None``: it is of another kind."""
        begin, end = self._ends
        if not (uri.startswith(begin) and uri.endswith(end)):
            return None
        try:
            return UUID(uri[len(begin) : len(uri) - len(end)])
        except ValueError:
            return None

    @property
    def _ends(self) -> tuple[str, str]:
        begin, _, rest = self.template.uri_template.partition("{")
        return begin, rest.partition("}")[2]


class HostsView(BaseModel):
    server: str
    hosts: list[str] = Field(description="That its tools may reach where their code names them.")


class VersionsView(BaseModel):
    versions: list[VersionView] = Field(description="Newest first.")


class ReviewView(BaseModel):
    """Of the newest request about a tool."""

    request_id: RequestId | None = Field(description="null: nobody was asked about it yet.")
    decisions: list[DecisionView] = Field(description="Oldest first.")
    comments: list[CommentView] = Field(description="Oldest first.")


async def _request(use_cases: UseCases, found: UUID) -> RequestStanding:
    return RequestStanding.of(await use_cases.requests.get(RequestId(found)))


async def _modules(use_cases: UseCases, found: UUID) -> ServerModulesView:
    return ServerModulesView.of(await use_cases.servers.modules(ServerId(found)))


async def _hosts(use_cases: UseCases, found: UUID) -> HostsView:
    server = await use_cases.servers.get(ServerId(found))
    return HostsView(server=server.name, hosts=list(server.hosts))


async def _versions(use_cases: UseCases, found: UUID) -> VersionsView:
    versions = await use_cases.releases.versions(ToolId(found))
    return VersionsView(versions=[VersionView.of(one) for one in versions])


async def _review(use_cases: UseCases, found: UUID) -> ReviewView:
    tool = await use_cases.tools.get(ToolId(found))
    newest = await use_cases.requests.list((), PageRequest(page_size=1), tool.id)
    if not newest.items:
        return ReviewView(request_id=None, decisions=[], comments=[])
    request = await use_cases.requests.get(newest.items[0].id)
    return ReviewView(
        request_id=request.id,
        decisions=[DecisionView.of(one, request) for one in request.decisions],
        comments=[CommentView.of(one, request) for one in request.comments],
    )


def _kind(name: str, uri_template: str, title: str, description: str, read: Read) -> Kind:
    return Kind(
        ResourceTemplate(
            name=name,
            title=title,
            uri_template=uri_template,
            description=description,
            mime_type=JSON,
            annotations=Annotations(audience=["assistant"]),
        ),
        read,
    )


REQUESTS = _kind(
    "request",
    "mcpbox://requests/{request_id}",
    "A change request",
    "Where it stands, and what people said. Subscribe to hear when it moves.",
    _request,
)
KINDS = (
    REQUESTS,
    _kind(
        "server_modules",
        "mcpbox://servers/{server_id}/modules",
        "What a server's tools may import",
        "The default modules, and those that people granted to it.",
        _modules,
    ),
    _kind(
        "server_hosts",
        "mcpbox://servers/{server_id}/hosts",
        "What a server's tools may reach",
        "The hosts that people granted to it.",
        _hosts,
    ),
    _kind(
        "tool_versions",
        "mcpbox://tools/{tool_id}/versions",
        "A tool's versions",
        "Which one clients call, which were released, and which a person took back.",
        _versions,
    ),
    _kind(
        "tool_review",
        "mcpbox://tools/{tool_id}/review",
        "What reviewers said about a tool",
        "Decisions and comments on the newest request about it.",
        _review,
    ),
)
