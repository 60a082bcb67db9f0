"""Ways into the gateway, one for each deployment: who a request is from, and what it is told."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive

from gateway.clients import KnownClients
from mcpbox.domain.errors import DomainError, Unauthenticated, Unavailable
from mcpbox.domain.people import Client


class Turned(StrEnum):
    """Why somebody was turned away."""

    UNKNOWN = "unknown"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request shows, and enough to look at it once more while the request lasts."""

    value: str = field(repr=False)
    resource: str = ""
    """The address that it was shown at, where that matters."""


@dataclass(frozen=True, slots=True)
class Admitted:
    client: Client
    until: float | None = None
    """When the credential ends by itself, in seconds of ``time.time()``."""


class Admission(ABC):
    remote = False
    """Whoever comes this way comes from outside, whatever else the request says."""
    outlives_s = 300.0
    """How long a request may go on after its credential has ended; longer than any call."""

    def __init__(self) -> None:
        self.turned_away: Counter[Turned] = Counter()

    @property
    def routes(self) -> Sequence[Route]:
        """Where it says in public how to come in."""
        return ()

    @abstractmethod
    def credential(self, request: Request) -> Credential:
        """Raises: Unauthenticated; Refused."""

    @abstractmethod
    async def admit(self, credential: Credential) -> Admitted:
        """Raises: Unauthenticated; Refused; Unavailable: it cannot be known now."""

    async def judged(self, request: Request, credential: Credential) -> Receive:
        """What the request goes on with. Raises: Refused: it asks for what this one may not."""
        del credential
        return request.receive

    def refusal(self, error: DomainError, path: str) -> JSONResponse:
        """``path``: what was asked for."""
        if isinstance(error, Unavailable):
            self.turned_away[Turned.UNAVAILABLE] += 1
            return refused(503, "unavailable", str(error), {"retry-after": "1"})
        unknown = isinstance(error, Unauthenticated)
        self.turned_away[Turned.UNKNOWN if unknown else Turned.FORBIDDEN] += 1
        return self._unknown(error, path) if unknown else self._forbidden(error, path)

    @abstractmethod
    def _unknown(self, error: DomainError, path: str) -> JSONResponse: ...

    def _forbidden(self, error: DomainError, path: str) -> JSONResponse:
        del path
        return refused(403, "forbidden", str(error))


class ClientTokens(Admission):
    """Tokens that the operator makes here."""

    outlives_s = 0.0  # as after a revocation

    def __init__(self, clients: KnownClients) -> None:
        super().__init__()
        self._clients = clients

    def credential(self, request: Request) -> Credential:
        return Credential(bearer_token(request))

    async def admit(self, credential: Credential) -> Admitted:
        client = await self._clients.identify(credential.value)
        return Admitted(client, client.expires_at.timestamp() if client.expires_at else None)

    def _unknown(self, error: DomainError, path: str) -> JSONResponse:
        challenge = 'Bearer realm="mcpbox", error="invalid_token"'
        message = f"{error} {_WHAT_TO_DO}"
        return refused(401, "invalid_token", message, {"www-authenticate": challenge})


def bearer_token(request: Request) -> str:
    """From the one header, and from no address. Raises: Unauthenticated. Source: RFC 6750."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This request carries no token.")
    return token.strip()


def refused(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"error": code, "error_description": message}
    return JSONResponse(body, status_code=status, headers=headers)


_WHAT_TO_DO = (
    "Send the header 'Authorization: Bearer <token>'. The operator makes a token with: "
    "mcpbox clients create NAME --scopes author,call"
)
