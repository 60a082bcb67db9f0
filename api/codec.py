"""The codec server: shows people in Temporal's Web UI and command line what is kept encrypted.

Source: https://docs.temporal.io/codec-server
"""

import base64
import binascii
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.api.common.v1 import Payload

from api.deps import BearerDep, PartsDep
from api.problems import answer, problems
from mcpbox.domain.errors import Invalid, Refused, Unauthenticated
from mcpbox.policies.operators import may_read_payloads

PATH = "/temporal/codec"
_MOST_PAYLOADS = 1000

router = APIRouter(prefix=PATH, tags=["temporal"])


class PayloadBody(BaseModel):
    """As Protobuf's JSON has it: bytes are base64."""

    metadata: Annotated[dict[str, str], Field(max_length=100)] = {}
    data: str = ""


class PayloadsBody(BaseModel):
    payloads: Annotated[list[PayloadBody], Field(max_length=_MOST_PAYLOADS)] = []


async def operator(request: Request, parts: PartsDep, bearer: BearerDep) -> None:
    """A token, or the panel's cookie when it is the Web UI's page that asks.

    Raises: Unauthenticated; Refused.
    """
    token = bearer.credentials if bearer else None
    if token is None and request.headers.get("origin") == parts.codec_server.origin:
        token = request.cookies.get(parts.codec_server.cookie)
    if token is None:
        raise Unauthenticated(
            "Sign in to the panel, or send a token: `mcpbox temporal env` gives you one."
        )
    may_read_payloads(await parts.people.whoami(token)).require()


@router.post("/encode", dependencies=[Depends(operator)], responses=problems(Invalid, Refused))
async def encode(parts: PartsDep, given: PayloadsBody) -> PayloadsBody:
    """For people's programs: payloads as they are sent to Temporal."""
    return _body(await parts.codec_server.codec.encode(_payloads(given)))


@router.post("/decode", dependencies=[Depends(operator)], responses=problems(Invalid, Refused))
async def decode(parts: PartsDep, given: PayloadsBody) -> PayloadsBody:
    """What no key of this instance opens comes back as it was sent."""
    return _body(await parts.codec_server.codec.decode(_payloads(given)))


class CodecCors:
    """Lets the Web UI's origin read the answers, credentials and refusals included; no other."""

    def __init__(self, app: ASGIApp, *, prefix: str, origin: str) -> None:
        self._app = app
        self._prefix = f"{prefix}{PATH}/"
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        if origin is None:
            await self._app(scope, receive, send)
        elif origin != self._origin:
            refusal = answer(
                "Refused",
                HTTPStatus.FORBIDDEN,
                "Only Temporal's Web UI may ask from a browser; MCPBOX_TEMPORAL_UI_URL says "
                "where it is.",
            )
            await refusal(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=HTTPStatus.NO_CONTENT)(scope, receive, self._allow(send))
        else:
            await self._app(scope, receive, self._allow(send))

    def _allow(self, send: Send) -> Send:
        async def out(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["access-control-allow-origin"] = self._origin
                headers["access-control-allow-credentials"] = "true"
                headers["access-control-allow-methods"] = "POST"
                headers["access-control-allow-headers"] = "authorization, content-type, x-namespace"
                headers["vary"] = "origin"
            await send(message)

        return out


def _payloads(given: PayloadsBody) -> list[Payload]:
    try:
        return [
            Payload(
                metadata={name: _bytes(value) for name, value in one.metadata.items()},
                data=_bytes(one.data),
            )
            for one in given.payloads
        ]
    except (binascii.Error, ValueError) as error:
        raise Invalid("payloads: metadata and data must be base64, as Protobuf has it.") from error


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _body(payloads: Sequence[Payload]) -> PayloadsBody:
    return PayloadsBody(
        payloads=[
            PayloadBody(
                metadata={name: _text(value) for name, value in one.metadata.items()},
                data=_text(one.data),
            )
            for one in payloads
        ]
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
