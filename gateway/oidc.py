"""The gateway as an OAuth 2.1 resource server: it takes the access tokens of one provider.

Source: MCP, "Authorization"; RFC 9728 (metadata), RFC 6750 (challenge), RFC 9068 (claims).
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import jwt
import structlog
from jwt.exceptions import PyJWTError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.admission import Admission, Admitted, Credential, bearer_token, refused
from gateway.clients import KnownClients
from gateway.provider import ALGORITHMS, KeySet, Provider
from gateway.views import PATHS
from mcpbox.domain.errors import DomainError, LacksScope, Refused, Unauthenticated
from mcpbox.domain.identities import Identity, Owners, plain_email
from mcpbox.domain.people import Scope
from mcpbox.settings import Settings

LEEWAY_S = 30.0
"""For clocks that differ."""
_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_MAX_LENGTH = 16 * 2**10
_KEPT_MAX = 4096
_TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
"""Other tokens of a provider, such as its logout tokens, say what they are. Source: RFC 8725."""
_WORDS = re.compile(r" +")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which tokens are for us, and how they say what they may do."""

    audience: str
    origin: str
    """Scheme and host that clients reach us at."""
    scope_claim: str
    scopes: Mapping[str, Scope]
    """By the provider's name."""
    owners: Owners

    @classmethod
    def by(cls, settings: Settings) -> "Accepted":
        return cls(
            audience=settings.oidc_audience or "",
            origin=settings.gateway_link,
            scope_claim=settings.oidc_scope_claim,
            scopes={
                settings.oidc_author_scope: Scope.AUTHOR,
                settings.oidc_call_scope: Scope.CALL,
            },
            owners=settings.owners,
        )


@dataclass(frozen=True, slots=True)
class _Verified:
    """A signature is looked at once: it costs more than a call."""

    claims: Mapping[str, Any]
    until: float
    """In seconds of ``time.time()``, with the leeway."""
    keys: KeySet
    """By one of which; with others it is looked at again."""


def oidc_admission(settings: Settings) -> Callable[[KnownClients], Admission]:
    """Raises: ValueError: no issuer is set."""
    if not settings.oidc_issuer or not settings.oidc_audience:
        raise ValueError("MCPBOX_OIDC_ISSUER and MCPBOX_OIDC_AUDIENCE need each other")
    provider, accepted = Provider(settings.oidc_issuer), Accepted.by(settings)
    return lambda clients: ProviderTokens(clients, provider, accepted)


class ProviderTokens(Admission):
    def __init__(
        self,
        clients: KnownClients,
        provider: Provider,
        accepted: Accepted,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._clients = clients
        self._provider = provider
        self._accepted = accepted
        self._clock = clock
        self._verified: dict[tuple[bytes, str], _Verified] = {}

    @property
    def routes(self) -> Sequence[Route]:
        """One document for each view: a client asks at the path of what it was refused."""
        return [Route(_WELL_KNOWN + path, self._metadata, methods=["GET"]) for path in PATHS]

    def credential(self, request: Request) -> Credential:
        return Credential(bearer_token(request), self._resource(request.scope["path"]))

    async def admit(self, credential: Credential) -> Admitted:
        claims = await self._claims(credential)
        scopes = frozenset(
            scope for name, scope in self._accepted.scopes.items() if name in self._named(claims)
        )
        identity = self._identity(claims)
        if not scopes:
            raise LacksScope(sorted(self._accepted.scopes))
        try:
            client = await self._clients.identify(identity.model_dump_json())
        except Unauthenticated:
            raise Refused(_NOT_LET_IN) from None
        narrowed = client.model_copy(update={"scopes": client.scopes & scopes})
        return Admitted(narrowed, until=float(claims["exp"]) + LEEWAY_S)

    async def _claims(self, credential: Credential) -> Mapping[str, Any]:
        """Raises: Unauthenticated: not valid, here and now; Unavailable."""
        place = (hashlib.sha256(credential.value.encode()).digest(), credential.resource)
        known = self._verified.get(place)
        if known is None or known.keys is not await self._provider.keys():
            known = await self._verify(credential)
            if len(self._verified) >= _KEPT_MAX:
                self._verified.clear()
            self._verified[place] = known
        if self._clock() >= known.until:
            self._verified.pop(place, None)
            raise Unauthenticated(_NOT_VALID)
        return known.claims

    async def _verify(self, credential: Credential) -> _Verified:
        try:
            key_id, algorithm = _header_of(credential.value)
            key, keys = await self._provider.key(key_id, algorithm)
            claims = jwt.decode(
                credential.value,
                key,
                algorithms=[algorithm],
                issuer=self._provider.issuer,
                audience=[self._accepted.audience, credential.resource],
                leeway=LEEWAY_S,
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except PyJWTError as error:
            log.info("token.not_valid", reason=type(error).__name__)
            raise Unauthenticated(_NOT_VALID) from None
        return _Verified(claims, float(claims["exp"]) + LEEWAY_S, keys)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        """Raises: Refused: nobody here stands for it."""
        subject, owners = str(claims["sub"]), self._accepted.owners
        owner = owners.of_subject(subject)
        email = claims.get("email")
        if owner is None and claims.get("email_verified") is True and isinstance(email, str):
            plain = plain_email(email)
            owner = owners.of_email(plain) if plain else None
        if owner is None:
            raise Refused(_NOT_LET_IN)
        return Identity(issuer=self._provider.issuer, subject=subject, owner=owner)

    def _named(self, claims: Mapping[str, Any]) -> frozenset[str]:
        given = claims.get(self._accepted.scope_claim)
        if isinstance(given, str):
            return frozenset(_WORDS.split(given))
        if isinstance(given, list):
            words = cast("list[Any]", given)
            return frozenset(word for word in words if isinstance(word, str))
        return frozenset()

    def _resource(self, path: str) -> str:
        return self._accepted.origin + quote(path)

    async def _metadata(self, request: Request) -> JSONResponse:
        """Source: RFC 9728 section 2; the same for a server that does not exist."""
        path = request.scope["path"].removeprefix(_WELL_KNOWN)
        return JSONResponse(
            {
                "resource": self._resource(path),
                "authorization_servers": [self._provider.issuer],
                "scopes_supported": sorted(self._accepted.scopes),
                "bearer_methods_supported": ["header"],
                "resource_name": "MCPbox",
            },
            headers={"cache-control": "public, max-age=300"},
        )

    def _unknown(self, error: DomainError, path: str) -> JSONResponse:
        message = f"{error} {_WHAT_TO_DO}"
        challenge = self._challenge("invalid_token", path)
        return refused(401, "invalid_token", message, {"www-authenticate": challenge})

    def _forbidden(self, error: DomainError, path: str) -> JSONResponse:
        if not isinstance(error, LacksScope):
            return super()._forbidden(error, path)
        challenge = self._challenge("insufficient_scope", path)
        return refused(403, "insufficient_scope", str(error), {"www-authenticate": challenge})

    def _challenge(self, code: str, path: str) -> str:
        """Source: MCP, "Protected Resource Metadata Discovery" and "Scope Challenge Handling"."""
        metadata = self._resource(_WELL_KNOWN + path)
        scopes = " ".join(sorted(self._accepted.scopes))
        return (
            f'Bearer realm="mcpbox", error="{code}", scope="{scopes}", '
            f'resource_metadata="{metadata}"'
        )


def _header_of(token: str) -> tuple[str | None, str]:
    """Key id and algorithm, before anything is believed. Raises: Unauthenticated; PyJWTError."""
    if len(token) > _MAX_LENGTH:
        raise Unauthenticated(_NOT_VALID)
    try:
        header = jwt.get_unverified_header(token)
    except RecursionError:
        raise Unauthenticated(_NOT_VALID) from None
    kind, algorithm, key_id = header.get("typ", "JWT"), header.get("alg"), header.get("kid")
    if not isinstance(kind, str) or kind.lower() not in _TYPES or algorithm not in ALGORITHMS:
        log.info("token.not_valid", reason="header")
        raise Unauthenticated(_NOT_VALID)
    return key_id if isinstance(key_id, str) else None, algorithm


_NOT_VALID = "This token is not valid here."
_WHAT_TO_DO = (
    "Sign in with the provider that the header WWW-Authenticate leads to, for this address, and "
    "send its access token as 'Authorization: Bearer <token>'."
)
_NOT_LET_IN = (
    "You are signed in, and nobody here has let you in. Ask the operator to name you in "
    "MCPBOX_IDENTITIES, and to look whether your client was revoked or your account is inactive."
)
