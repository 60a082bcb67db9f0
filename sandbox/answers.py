"""How the service answers: JSON, and what went wrong as title and detail."""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from sandbox.admission import Busy
from sandbox.cancelling import Duplicate
from sandbox.contract import (
    BUSY_STATUS,
    DUPLICATE_RUN_STATUS,
    NOT_APPROVED_STATUS,
    UNKNOWN_MODULE_SET_STATUS,
    BusyProblem,
)
from sandbox.module_sets.store import UnknownModuleSet
from sandbox.pool import Unavailable
from sandbox.receipts import NotApproved

_CLIENT_GONE_STATUS = 499


class Problem(Exception):
    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def as_json(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), status, headers, "application/json")


def _problem(status: int, title: str, detail: str) -> Response:
    return JSONResponse({"title": title, "detail": detail}, status)


def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _problem(error.status, error.title, error.detail)


def _on_not_approved(_: Request, error: Exception) -> Response:
    return _problem(NOT_APPROVED_STATUS, "Not approved", f"Nothing was run: {error}.")


def _on_busy(_: Request, error: Exception) -> Response:
    assert isinstance(error, Busy)
    problem = BusyProblem(detail=str(error), limit=error.limit, retry_after_s=error.retry_after_s)
    return as_json(problem, BUSY_STATUS, {"retry-after": str(error.retry_after_s)})


def _on_duplicate(_: Request, __: Exception) -> Response:
    detail = "A run of this run_id is in progress: give each run an id of its own."
    return _problem(DUPLICATE_RUN_STATUS, "Duplicate run", detail)


def _on_unavailable(_: Request, error: Exception) -> Response:
    return _problem(503, "Unavailable", str(error))


def _on_unknown_module_set(_: Request, __: Exception) -> Response:
    detail = "The bundle's module set is not installed here (any more): install it, call again."
    return _problem(UNKNOWN_MODULE_SET_STATUS, "Unknown module set", detail)


def _on_client_gone(_: Request, __: Exception) -> Response:
    return _problem(_CLIENT_GONE_STATUS, "Client gone", "The client hung up.")


def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, error.detail, "See the service's contract for its paths.")


def _on_bug(_: Request, __: Exception) -> Response:
    """The server logs what it was."""
    return _problem(500, "Internal error", "The sandbox service failed; its log says why.")


HANDLERS: dict[Any, Callable[[Request, Exception], Response]] = {
    Problem: _on_problem,
    NotApproved: _on_not_approved,
    Busy: _on_busy,
    Duplicate: _on_duplicate,
    Unavailable: _on_unavailable,
    UnknownModuleSet: _on_unknown_module_set,
    ClientDisconnect: _on_client_gone,
    HTTPException: _on_http,
    Exception: _on_bug,
}


async def answer(
    endpoint: Callable[[Request], Awaitable[Response]], scope: Scope, receive: Receive, send: Send
) -> None:
    """As Starlette would, without its router and middleware, for what every call passes.

    Raises: what has no handler, and what happens once the answer has begun.
    """
    begun = False

    async def sending(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    request = Request(scope, receive, send)
    try:
        response = await endpoint(request)
        await response(scope, receive, sending)
    except Exception as error:
        handler = next((HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS), None)
        if handler is None or begun:
            raise
        response = handler(request, error)
        await response(scope, receive, send)
        if handler is _on_bug:
            raise
