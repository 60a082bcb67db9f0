"""REST's face of our errors: problem+json. Source: RFC 9457."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    Refused,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[DomainError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refused: HTTPStatus.FORBIDDEN,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    TooManyAttempts: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
log = logging.getLogger(__name__)


class ProblemBody(BaseModel):
    type: str
    """``/problems/<name of the error>``; stable, for programs."""
    title: str
    status: int
    detail: str
    """What happened and what to do; for people."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


def problems(*kinds: type[DomainError]) -> dict[int | str, dict[str, object]]:
    """The ``responses`` of a route, for its OpenAPI description."""
    return {
        int(status_of(kind)): {"model": ProblemBody, "description": kind.__name__}
        for kind in (*kinds, Unauthenticated, Unavailable)
    }


def status_of(kind: type[DomainError]) -> HTTPStatus:
    """By the nearest base that has a status; a test walks every class."""
    for base in kind.__mro__:
        if base in _STATUS:
            return _STATUS[base]
    return HTTPStatus.INTERNAL_SERVER_ERROR


async def _domain_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DomainError)
    status = status_of(type(error))
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return answer(type(error).__name__, status, str(error), headers)


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    texts = [_problem(item) for item in error.errors()]
    return answer("Invalid", HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(texts))


def _problem(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"][1:])
    if item["type"] == "json_invalid":
        return f"The body is not JSON: {item['ctx']['error']} at character {place}."
    message = item["msg"].removeprefix("Value error, ")
    if item["loc"] == ("body",):
        return f"The body is no JSON object sent with 'content-type: application/json': {message}"
    return f"{place or item['loc'][0]}: {message}"


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return answer(status.phrase.replace(" ", ""), status, str(error.detail), error.headers)


async def _bug(_: Request, error: Exception) -> JSONResponse:
    reference = uuid4().hex[:12]
    log.error("api.request_failed reference=%s", reference, exc_info=error)
    return answer(
        "InternalError",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"Something went wrong on our side; the log says more under the reference {reference}.",
    )


def answer(
    name: str, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = ProblemBody(type=f"/problems/{name}", title=status.phrase, status=status, detail=detail)
    return JSONResponse(
        body.model_dump(),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=None if headers is None else dict(headers),
    )
