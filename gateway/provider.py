"""The keys of an OpenID provider: found by discovery, kept a while, fetched anew on rotation."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import anyio
import httpx
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from mcpbox.domain.errors import Unauthenticated, Unavailable

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Signatures alone, never a shared secret and never none. Source: RFC 8725 section 3.1."""
REFRESH_S = 600.0
TRUST_S = 3600.0
"""How long keys hold while the provider is away: it may have withdrawn one."""
AGAIN_S = 30.0
"""Between two visits: tokens with made-up keys make none of their own."""
_TIMEOUT_S = 5.0
_MAX_BYTES = 256 * 2**10
_RSA_MIN_BITS = 2048
_SAFE = re.compile(r"https://|http://(?:localhost|127\.0\.0\.1|\[::1\])[:/]")

log = structlog.get_logger()


class _Unusable(Exception):
    """What the provider answered; the message says why, in our words."""


@dataclass(frozen=True, slots=True)
class KeySet:
    by_id: Mapping[str | None, Sequence[PyJWK]]
    fetched_at: float

    def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Without an id only where there is no choice."""
        ids = self.by_id if key_id is None else (key_id,)
        found = [
            key
            for each in ids
            for key in self.by_id.get(each, ())
            if key.algorithm_name == algorithm
        ]
        return found[0] if len(found) == 1 else None


class Provider:
    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._clock = clock
        self._keys: KeySet | None = None
        self._visited_at: float | None = None
        self._visiting = anyio.Lock()

    async def keys(self) -> KeySet:
        """Those that hold now. Raises: Unavailable: nobody can tell."""
        keys = self._keys
        if keys is None or self._age(keys) > REFRESH_S:
            keys = await self._newer_than(keys)
        return self._trusted(keys)

    async def key(self, key_id: str | None, algorithm: str) -> tuple[PyJWK, KeySet]:
        """And those that it is one of.

        Raises: Unauthenticated: it has no such key; Unavailable: nobody can tell now.
        """
        keys = await self.keys()
        if keys.find(key_id, algorithm) is None:
            keys = self._trusted(await self._newer_than(keys))
        found = keys.find(key_id, algorithm)
        if found is None:
            raise Unauthenticated("This token is not valid here.")
        return found, keys

    def _trusted(self, keys: KeySet | None) -> KeySet:
        if keys is None or self._age(keys) > TRUST_S:
            raise Unavailable("The provider that people sign in with")
        return keys

    def _age(self, keys: KeySet) -> float:
        return self._clock() - keys.fetched_at

    async def _newer_than(self, keys: KeySet | None) -> KeySet | None:
        """What is there, where it is too early to ask again, or in vain."""
        async with self._visiting:
            early = self._visited_at is not None and self._clock() - self._visited_at < AGAIN_S
            if self._keys is not keys or early:
                return self._keys
            self._visited_at = self._clock()
            try:
                with anyio.fail_after(2 * _TIMEOUT_S):
                    by_id = await self._fetch()
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _Unusable) as error:
                reason = str(error) if isinstance(error, _Unusable) else type(error).__name__
                log.warning("provider.keys_not_fetched", issuer=self.issuer, reason=reason)
            else:
                log.info("provider.keys_fetched", issuer=self.issuer, keys=len(by_id))
                self._keys = KeySet(by_id, self._clock())
            return self._keys

    async def _fetch(self) -> Mapping[str | None, Sequence[PyJWK]]:
        """Source: OpenID Connect Discovery 1.0, sections 4 and 4.3; RFC 7517 section 5."""
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as http:
            well_known = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
            found = await _document(http, well_known)
            if found.get("issuer") != self.issuer:
                raise _Unusable("its discovery document is of another issuer")
            address = found.get("jwks_uri")
            if not isinstance(address, str) or not _SAFE.match(address):
                raise _Unusable("its jwks_uri is not https")
            entries = (await _document(http, address)).get("keys")
        by_id: dict[str | None, list[PyJWK]] = {}
        for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
            key = _signing_key(entry)
            if key is not None:
                by_id.setdefault(key.key_id, []).append(key)
        if not by_id:
            raise _Unusable(f"it has no key for {', '.join(ALGORITHMS)}")
        return by_id


async def _document(http: httpx.AsyncClient, address: str) -> dict[str, Any]:
    body = b""
    async with http.stream("GET", address, headers={"accept": "application/json"}) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise _Unusable(f"it answered with status {answer.status_code}")
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _MAX_BYTES:
                raise _Unusable("it answered with too much")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _Unusable("it did not answer with JSON") from None
    if not isinstance(document, dict):
        raise _Unusable("it did not answer with an object")
    return cast("dict[str, Any]", document)


def _signing_key(entry: object) -> PyJWK | None:
    """``None``: it is for something else, of a kind that we do not take, or too weak."""
    if not isinstance(entry, dict):
        return None
    described = cast("dict[str, Any]", entry)
    kind = described.get("kty")
    if kind == "oct" or described.get("use", "sig") != "sig":
        return None
    if not isinstance(described.get("kid"), str | None):
        return None
    try:
        key = PyJWK(described)
    except PyJWTError:
        return None
    if kind == "RSA" and key.key.key_size < _RSA_MIN_BITS:
        return None
    return key if key.algorithm_name in ALGORITHMS else None
