"""Secrets of one call: what the tool sees of them, and what leaves in its place.

A secret that is bound to hosts never enters the tool's process. The tool holds a stand-in, which
is replaced on the way to a host of the secret, and stopped on the way to any other.
"""

import base64
import binascii
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import httpx

from sandbox.channel import MAX_BODY_BYTES
from sandbox.contract import BoundSecret
from sandbox.echoes import Echoes
from sandbox.hosts import HostGrant, Refused, Target
from sandbox.outgoing import Outgoing

_PREFIX = "secret"
_STAND_IN_BYTES = 24
_SHORTEST_HIDDEN = 8
"""A shorter value would turn up in answers by chance; hiding it would spoil them."""
_BASIC = re.compile(rb"basic +([a-z0-9+/]+={0,2})", re.IGNORECASE)
_MAX_HEADER_BYTES = 65536
_NOT_IN_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

Encode = Callable[[str], str]
StandIns = Callable[[str], str]
"""By the name of the secret."""


def passing(_: str) -> str:
    """A stand-in for one call."""
    return f"{_PREFIX}{secrets.token_hex(_STAND_IN_BYTES)}"


class LastingStandIns:
    """For servers that are told their secrets once, and then serve many calls."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, owner: str) -> StandIns:
        """As long as this lives, the same ones for the same ``owner``."""

        def stand_in(name: str) -> str:
            digest = hmac.digest(self._key, f"{owner}/{name}".encode(), "sha256")
            return f"{_PREFIX}{digest[:_STAND_IN_BYTES].hex()}"

        return stand_in


@dataclass(frozen=True)
class _Bound:
    name: str
    value: str = field(repr=False)
    hosts: tuple[HostGrant, ...]
    stand_in: str

    def fits(self, target: Target) -> bool:
        """In the clear it goes only where a port is named: nobody means port 80 by a host."""
        return any(
            host.covers(target.host, target.port) and (target.is_encrypted or host.port)
            for host in self.hosts
        )

    def needles(self) -> set[bytes]:
        """The forms in which a host may send the value back."""
        if len(self.value) < _SHORTEST_HIDDEN:
            return set()
        in_json = _in_json(self.value)
        forms = {
            *(self.value, quote(self.value), quote(self.value, safe=""), quote_plus(self.value)),
            *(in_json, json.dumps(self.value, ensure_ascii=False)[1:-1], _in_json(in_json)),
            *(in_json.replace("/", "\\/"), _in_xml(self.value)),
        }
        return {form.encode() for form in forms}


class Secrets:
    def __init__(self, given: Mapping[str, str], bound: tuple[_Bound, ...]) -> None:
        self.given = given
        """``{name: what the tool sees}``."""
        self._bound = bound

    @classmethod
    def of(
        cls,
        sent: Mapping[str, BoundSecret],
        *,
        trial: bool = False,
        stand_in: StandIns = passing,
    ) -> Self:
        """In a trial, each value is a dummy, whatever was sent.

        Raises: ValueError: a host that one is bound to is malformed.
        """
        given: dict[str, str] = {}
        bound: list[_Bound] = []
        for name, secret in sent.items():
            value = f"dummy-{name}" if trial else secret.value.get_secret_value()
            given[name] = value
            if secret.hosts:
                given[name] = stand_in(name)
                hosts = tuple(map(HostGrant.parse, secret.hosts))
                bound.append(_Bound(name, value, hosts, given[name]))
        return cls(given, tuple(bound))

    def put_into(self, outgoing: Outgoing, target: Target) -> tuple[Outgoing, Echoes]:
        """The request with values for stand-ins, and what to hide in its answer.

        Raises: Refused: a stand-in is on the way to a host that its secret is not bound to.
        """
        if not self._bound:
            return outgoing, Echoes({})
        needles = {
            needle: one.stand_in.encode()
            for one in self._bound
            if one.fits(target)
            for needle in one.needles()
        }
        found = [one for one in self._bound if _is_in(outgoing, one.stand_in)]
        for one in found:
            _require_fit(one, target)
        if found:
            filled = _filled(outgoing, found)
            needles |= _sent_basic(filled, outgoing)
            outgoing = filled
        if needles:
            outgoing = _asking_for_plain_text(outgoing)
        return outgoing, Echoes(needles)


NO_SECRETS = Secrets({}, ())


def _is_in(outgoing: Outgoing, stand_in: str) -> bool:
    raw = stand_in.encode()
    return (
        stand_in in str(outgoing.url)
        or raw in outgoing.body
        or any(raw in value or raw in _basic_text(value) for _, value in outgoing.headers)
        or any(raw in name.lower() for name, _ in outgoing.headers)
    )


def _require_fit(one: _Bound, target: Target) -> None:
    if one.fits(target):
        return
    hosts = ", ".join(_shown(host) for host in one.hosts)
    if not target.is_encrypted and any(h.covers(target.host, target.port) for h in one.hosts):
        raise Refused(f"the secret {one.name!r} goes to {target.host} over https only")
    raise Refused(f"the secret {one.name!r} may be sent to {hosts} only, not to {target.host}")


def _filled(outgoing: Outgoing, found: list[_Bound]) -> Outgoing:
    path = outgoing.url.raw_path.decode("ascii")
    kind = _content_type(outgoing)
    body = outgoing.body
    headers = outgoing.headers
    for one in found:
        path = path.replace(one.stand_in, quote(one.value, safe=""))
        value = _encoding(kind)(one.value).encode()
        body = _replaced(body, one, value, max_bytes=MAX_BODY_BYTES)
        headers = [(name, _in_header(value, one)) for name, value in headers]
        if any(one.stand_in.encode() in name.lower() for name, _ in headers):
            raise Refused(f"the secret {one.name!r} cannot be the name of a header")
        if one.stand_in in outgoing.url.host:
            raise Refused(f"the secret {one.name!r} cannot be part of a host name")
    try:
        url = outgoing.url.copy_with(raw_path=path.encode("ascii"))
    except httpx.InvalidURL:
        raise Refused("a secret does not fit into the URL") from None  # its text shows the value
    return outgoing._replace(url=url, headers=headers, body=body)


def _in_header(value: bytes, one: _Bound) -> bytes:
    stand_in = one.stand_in.encode()
    decoded = _basic_text(value)
    if stand_in in decoded:
        value = one.value.encode()
        filled = _replaced(decoded, one, value, max_bytes=_MAX_HEADER_BYTES)
        return b"Basic " + base64.b64encode(filled)
    if stand_in not in value:
        return value
    if _NOT_IN_A_HEADER.search(one.value):
        raise Refused(f"the secret {one.name!r} holds a character that no header may hold")
    return _replaced(value, one, one.value.encode("latin-1"), max_bytes=_MAX_HEADER_BYTES)


def _replaced(text: bytes, one: _Bound, value: bytes, *, max_bytes: int) -> bytes:
    """Raises: Refused: a stand-in may stand there a million times, and its value be long."""
    stand_in = one.stand_in.encode()
    growth = text.count(stand_in) * (len(value) - len(stand_in))
    if growth > 0 and len(text) + growth > max_bytes:
        said = f"a body or header may have {max_bytes} bytes"
        raise Refused(f"{said}, also with the secret {one.name!r} in it")
    return text.replace(stand_in, value)


def _basic_text(value: bytes) -> bytes:
    """``user:password`` of Basic authentication; empty when it is something else."""
    match = _BASIC.fullmatch(value)
    if match is None:
        return b""
    try:
        return base64.b64decode(match[1])
    except binascii.Error:
        return b""


def _sent_basic(filled: Outgoing, asked: Outgoing) -> dict[bytes, bytes]:
    """A host that echoes its request sends the value back in the base64 that we made."""
    pairs = zip(filled.headers, asked.headers, strict=True)
    return {
        new.partition(b" ")[2].strip(): old.partition(b" ")[2].strip()
        for (_, new), (_, old) in pairs
        if new != old and _basic_text(new)
    }


def _asking_for_plain_text(outgoing: Outgoing) -> Outgoing:
    """In a compressed answer an echo could not be seen."""
    kept = [(name, value) for name, value in outgoing.headers if name.lower() != b"accept-encoding"]
    return outgoing._replace(headers=[*kept, (b"Accept-Encoding", b"identity")])


def _encoding(content_type: str) -> Encode:
    if content_type.endswith("json"):
        return _in_json
    if content_type == "application/x-www-form-urlencoded":
        return quote_plus
    if content_type.endswith("xml"):
        return _in_xml
    return str


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def _in_xml(value: str) -> str:
    return escape(value, {'"': "&quot;", "'": "&#x27;"})


def _content_type(outgoing: Outgoing) -> str:
    headers = {name.lower(): value for name, value in outgoing.headers}
    kind = headers.get(b"content-type", b"").decode("latin-1")
    return kind.partition(";")[0].strip().lower()


def _shown(host: HostGrant) -> str:
    name = f"[{host.name}]" if ":" in host.name else host.name
    return f"{name}:{host.port}" if host.port else name
