"""Requests as resources: read one, and be told when it moves, as the protocol has it."""

from collections.abc import Callable
from uuid import UUID, uuid4

import structlog
from mcp import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequestParams,
)

from gateway.announcer import Announcer, Context
from gateway.answers import internal_error
from gateway.line import Line
from gateway.tools.request_views import RequestStanding
from mcpbox.domain.errors import DomainError, NotFound
from mcpbox.domain.ids import RequestId
from mcpbox.domain.people import Scope
from mcpbox.usecases.requests import Requests

log = structlog.get_logger()
_BEGIN = "mcpbox://requests/"
_JSON = "application/json"


def uri_of(request_id: str) -> str:
    return f"{_BEGIN}{request_id}"


class RequestResources:
    """Not listed one by one, which would change with each request: they are in a template."""

    def __init__(
        self, requests: Requests, line_of: Callable[[Context], Line], announcer: Announcer
    ) -> None:
        self._requests = requests
        self._line_of = line_of
        self._announcer = announcer

    async def list(self, _: Context, __: PaginatedRequestParams | None) -> ListResourcesResult:
        return ListResourcesResult(resources=[])

    async def templates(
        self, _: Context, __: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        template = ResourceTemplate(
            name="request",
            title="A change request",
            uri_template=uri_of("{request_id}"),
            description="Where it stands, and what people said. Subscribe to hear when it moves.",
            mime_type=_JSON,
        )
        return ListResourceTemplatesResult(resource_templates=[template])

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Raises: MCPError: no such resource, or not for this client."""
        uri = str(params.uri)
        request_id = self._named(context, uri)
        try:
            request = await self._requests.get(request_id)
        except NotFound:
            raise _nothing_at(uri) from None
        except DomainError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from None
        except Exception:
            # The protocol boundary: a handshake-era client would be sent the exception's text.
            reference = uuid4().hex[:12]
            log.exception("resource_read.crashed", reference=reference)
            raise MCPError(INTERNAL_ERROR, internal_error(reference)) from None
        text = RequestStanding.of(request).model_dump_json()
        contents = TextResourceContents(uri=uri, mime_type=_JSON, text=text)
        return ReadResourceResult(contents=[contents])

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Handshake-era clients alone; later ones listen. Raises: MCPError: as above."""
        uri = str(params.uri)
        self._named(context, uri)
        self._announcer.subscribe(context, uri)
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        self._announcer.unsubscribe(context, str(params.uri))
        return EmptyResult()

    def _named(self, context: Context, uri: str) -> RequestId:
        """Raises: MCPError."""
        if Scope.AUTHOR not in self._line_of(context).principal.scopes:
            raise MCPError(INVALID_PARAMS, "Requests are for clients with the scope 'author'.")
        try:
            return RequestId(UUID(uri.removeprefix(_BEGIN)))
        except ValueError:
            raise _nothing_at(uri) from None


def _nothing_at(uri: str) -> MCPError:
    """Source: SEP-2164."""
    return MCPError(INVALID_PARAMS, f"There is no resource {uri[:200]!r}.", {"uri": uri[:200]})
