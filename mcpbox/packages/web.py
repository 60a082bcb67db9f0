"""Bounded requests to one service, which may lead us nowhere but to itself."""

import asyncio
import ssl
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from mcpbox.domain.errors import Invalid

Form = TypeVar("Form", bound="Document")

TIMEOUT_S = 20.0
ANSWER_MAX_BYTES = 32 * 2**20
_ATTEMPTS = 2
"""Of a question whose failure ends as "not checked", which Temporal would not repeat."""


class Document(BaseModel):
    """What a service documents of its answer; what else is in it may change."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class NoAnswer(Exception):
    """The message says, for a reviewer, why there is none."""


class NotThere(NoAnswer):
    """The service answers, and does not know it."""


class LedAway(NoAnswer):
    """It redirects to another host, or to plain http."""


def service_address(name: str, address: str) -> str:
    """``address`` without a slash at its end. Raises: Invalid: naming the setting, not the value.

    Credentials are refused: they would end in a lock, an error or a process list.
    """
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable or parts.query or parts.fragment or not address.isprintable() or " " in address:
        raise Invalid(f"{name} must be an address such as https://host/path.")
    if "@" in parts.netloc:
        raise Invalid(f"{name} must not hold a user name or password.")
    return address.rstrip("/")


def same_origin_client(address: str) -> httpx.AsyncClient:
    """Follows redirects, but only to the scheme, host and port of ``address``."""
    origin = _origin(httpx.URL(address))

    async def stay(request: httpx.Request) -> None:
        if _origin(request.url) != origin:
            raise LedAway(f"{origin[1]} redirects to another address, {request.url.host}")

    return httpx.AsyncClient(
        event_hooks={"request": [stay]},
        follow_redirects=True,
        max_redirects=3,
        timeout=httpx.Timeout(TIMEOUT_S, connect=5.0),
        verify=_trusted(),
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Reading all certificates takes longer than most answers, and holds up the loop."""
    return httpx.create_ssl_context()


async def read(client: httpx.AsyncClient, method: str, url: str, **given: Any) -> httpx.Response:
    """The whole answer, decoded. Raises: NoAnswer; NotThere."""
    host = httpx.URL(url).host
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            client.stream(method, url, **given) as response,
        ):
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > ANSWER_MAX_BYTES:
                    raise NoAnswer(f"{host} answered more than {ANSWER_MAX_BYTES >> 20} MB")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise NoAnswer(f"{host} could not be reached") from error
    if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise NotThere(f"{host} does not know it")
    if response.status_code != HTTPStatus.OK:
        raise NoAnswer(f"{host} answered {response.status_code}")
    headers = {"content-type": response.headers.get("content-type", "")}
    return httpx.Response(response.status_code, headers=headers, content=bytes(body))


async def ask(
    client: httpx.AsyncClient, method: str, url: str, form: type[Form], **given: Any
) -> Form:
    """A JSON answer, asked for twice where need be. Raises: NoAnswer; NotThere."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = await read(client, method, url, **given)
        except (NotThere, LedAway):
            raise
        except NoAnswer:
            if attempt == _ATTEMPTS:
                raise
        else:
            return in_form(answer, form, httpx.URL(url).host)
    raise AssertionError("unreachable")


def in_form(answer: httpx.Response, form: type[Form], host: str) -> Form:
    """Raises: NoAnswer."""
    try:
        return form.model_validate_json(answer.content)
    except ValidationError as error:
        raise NoAnswer(f"{host} answered in a form that is not documented") from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
