"""One request of a child, read from its frame: written by the child, so by anybody."""

import re
from typing import Annotated, NamedTuple

import httpx
from pydantic import BaseModel, Field, ValidationError

from sandbox.channel import BODY_START
from sandbox.egress import Attempt
from sandbox.hosts import MAX_URL_CHARACTERS, HostGrants, Refused, Target
from sandbox.words import words

Headers = list[tuple[bytes, bytes]]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]

_MAX_HEAD_BYTES = 65536
_MAX_HEADERS = 200
_MAX_HOST_CHARACTERS = 253
_SHOWN_CHARACTERS = 60
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,19}")
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[^0-9a-z]")
_NO_METHODS = frozenset({"CONNECT", "TRACE"})
"""They speak to what is on the way to the host, not to the host."""
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_NOT_FORWARDED = frozenset(
    words("""
    connection content-length expect host http2-settings keep-alive te trailer transfer-encoding
    upgrade
""")
)
_NAME_A_HOST = frozenset(words("forwarded x-forwarded-host x-host x-original-host"))
_NAME_A_REQUEST = frozenset(
    words("""
    destination x-http-method x-http-method-override x-method-override
    x-forwarded-prefix x-forwarded-uri x-original-uri x-original-url x-rewrite-url
""")
)
"""Some servers obey them instead of the request line."""


class Timeouts(BaseModel):
    """In seconds; ``None`` leaves it to the broker's own limits."""

    connect: Seconds | None = None
    read: Seconds | None = None
    write: Seconds | None = None
    pool: Seconds | None = None


class _Head(BaseModel):
    method: str
    url: str
    headers: list[tuple[str, str]]
    timeouts: Timeouts = Timeouts()


class Outgoing(NamedTuple):
    """Of a form that any server reads alike; whether it may be sent is another question."""

    method: str
    url: httpx.URL
    headers: Headers
    """Those of the tool alone: ``Host`` and ``Content-Length`` are written when it is sent."""
    body: bytes
    timeouts: Timeouts

    def target(self, grants: HostGrants) -> Target:
        """Raises: Refused."""
        target = grants.target(self.url, self.method)
        for name, _ in self.headers:
            lowered = _as_servers_read(name.decode("latin-1"))
            if lowered in _NAME_A_HOST:
                raise Refused(f"the header {lowered} is not allowed: it names another host")
            if lowered in _NAME_A_REQUEST and grants.is_restricted(target):
                said = f"the header {lowered} is not allowed on {target.host}"
                raise Refused(f"{said}, which is granted for some requests only")
        return target

    def headers_for(self, target: Target) -> Headers:
        headers = [(b"Host", target.authority.encode()), *self.headers]
        if self.body or self.method in _WITH_BODY:
            headers.append((b"Content-Length", str(len(self.body)).encode()))
        return headers


def read(payload: bytes, attempt: Attempt) -> Outgoing:
    """Says in ``attempt`` what it is, as far as that may be written down. Raises: Refused."""
    head, body = _split(payload)
    method = head.method.upper()
    if not _METHOD.fullmatch(method) or method in _NO_METHODS:
        raise Refused(f"the method {head.method[:_SHOWN_CHARACTERS]!r} is not allowed")
    attempt.method = method
    if len(head.url) > MAX_URL_CHARACTERS:  # taking it apart would cost its square
        raise Refused(f"the URL is longer than {MAX_URL_CHARACTERS} characters")
    try:
        url = httpx.URL(head.url)
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused("the URL is not valid") from error
    attempt.host = url.raw_host.decode("ascii")[:_MAX_HOST_CHARACTERS] or attempt.host
    return Outgoing(method, url, _forwarded(head), body, head.timeouts)


def _as_servers_read(name: str) -> str:
    """Behind CGI, WSGI and the like, ``X_Rewrite_URL`` is ``X-Rewrite-URL``."""
    return _NEITHER_LETTER_NOR_DIGIT.sub("-", name.lower())


def _split(payload: bytes) -> tuple[_Head, bytes]:
    if len(payload) < BODY_START.size:
        raise Refused("the request is malformed")
    (length,) = BODY_START.unpack_from(payload)
    end = BODY_START.size + length
    if length > _MAX_HEAD_BYTES:
        raise Refused(f"URL and headers together may have {_MAX_HEAD_BYTES} bytes")
    try:
        return _Head.model_validate_json(payload[BODY_START.size : end]), payload[end:]
    except ValidationError as error:
        raise Refused("the request is malformed") from error


def _forwarded(head: _Head) -> Headers:
    if len(head.headers) > _MAX_HEADERS:
        raise Refused(f"a request may have {_MAX_HEADERS} headers")
    headers: Headers = []
    for name, value in head.headers:
        shown = name[:_SHOWN_CHARACTERS]
        if not _TOKEN.fullmatch(name):
            raise Refused(f"{shown!r} is no name of a header")
        lowered = _as_servers_read(name)
        if lowered in _NOT_FORWARDED or lowered.startswith("proxy-"):
            continue
        if not _VALUE.fullmatch(value):
            raise Refused(f"the header {shown} holds a character that no header may hold")
        headers.append((name.encode("ascii"), value.strip(" \t").encode("latin-1")))
    return headers
