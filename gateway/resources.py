"""Resources: read one, and be told when a request moves, as the protocol has it."""

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
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequestParams,
)

from gateway.announcer import Announcer, Context
from gateway.answers import internal_error
from gateway.definition import UseCases
from gateway.guide import GUIDE
from gateway.line import Line
from gateway.resource_kinds import GUIDE_URI, JSON, KINDS, MARKDOWN, REQUESTS, THE_GUIDE, Kind
from mcpbox.domain.errors import DomainError, NotFound
from mcpbox.domain.people import Scope

log = structlog.get_logger()


def uri_of(request_id: str) -> str:
    return REQUESTS.template.uri_template.format(request_id=request_id)


class Resources:
    """For clients that write tools, at the address that shows everything."""

    def __init__(
        self, use_cases: UseCases, line_of: Callable[[Context], Line], announcer: Announcer
    ) -> None:
        self._use_cases = use_cases
        self._line_of = line_of
        self._announcer = announcer

    async def list(self, context: Context, _: PaginatedRequestParams | None) -> ListResourcesResult:
        shown = self._line_of(context).authoring
        return ListResourcesResult(resources=[THE_GUIDE] if shown else [])

    async def templates(
        self, context: Context, _: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        shown = KINDS if self._line_of(context).authoring else ()
        return ListResourceTemplatesResult(resource_templates=[kind.template for kind in shown])

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Raises: MCPError: no such resource, or not for this client."""
        uri = str(params.uri)
        self._require_author(context)
        if uri == GUIDE_URI:
            return _contents(uri, MARKDOWN, GUIDE)
        kind, found = _named(uri, KINDS)
        try:
            read = await kind.read(self._use_cases, found)
        except NotFound:
            raise _nothing_at(uri) from None
        except DomainError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from None
        except Exception:
            # The protocol boundary: a handshake-era client would be sent the exception's text.
            reference = uuid4().hex[:12]
            log.exception("resource_read.crashed", reference=reference)
            raise MCPError(INTERNAL_ERROR, internal_error(reference)) from None
        return _contents(uri, JSON, read.model_dump_json())

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Handshake-era clients alone; later ones listen. Raises: MCPError: as above."""
        uri = str(params.uri)
        self._require_author(context)
        _named(uri, (REQUESTS,))
        self._announcer.subscribe(context, uri)
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        self._announcer.unsubscribe(context, str(params.uri))
        return EmptyResult()

    def _require_author(self, context: Context) -> None:
        """Raises: MCPError."""
        line = self._line_of(context)
        if Scope.AUTHOR not in line.principal.scopes:
            raise MCPError(INVALID_PARAMS, "Resources are for clients with the scope 'author'.")
        if not line.authoring:
            raise MCPError(INVALID_PARAMS, "There are no resources here; they are at /mcp.")


def _contents(uri: str, mime_type: str, text: str) -> ReadResourceResult:
    contents = TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return ReadResourceResult(contents=[contents])


def _named(uri: str, kinds: tuple[Kind, ...]) -> tuple[Kind, UUID]:
    """Raises: MCPError."""
    for kind in kinds:
        found = kind.id_in(uri)
        if found is not None:
            return kind, found
    raise _nothing_at(uri)


def _nothing_at(uri: str) -> MCPError:
    """Source: SEP-2164."""
    return MCPError(INVALID_PARAMS, f"There is no resource {uri[:200]!r}.", {"uri": uri[:200]})
