"""A tunnel in front of the gateway: it proves itself with a secret, and says who its people are."""

import json
from collections.abc import Callable
from hmac import compare_digest
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive

from gateway.admission import Admission, Admitted, Credential, refused
from gateway.clients import KnownClients
from gateway.refusals import message_of
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import DomainError, Refused, Unauthenticated
from mcpbox.domain.identities import Identity, Owners, plain_email
from mcpbox.domain.ids import ClientId
from mcpbox.domain.people import Client
from mcpbox.settings import Settings

TOKEN_HEADER = "x-mcpbox-service-token"  # noqa: S105 - where it stands, not what it is
EMAIL_HEADER = "x-mcpbox-user-email"
ISSUER = "tunnel"
_WITHOUT_EMAIL = frozenset({"initialize", "server/discover", "ping", "tools/list"})
"""What a tunnel asks before anybody has signed in; the list is empty then."""
_NOBODY = Client(
    id=ClientId(UUID(int=0)), name=ISSUER, owner="", scopes=frozenset(), created_at=utc_now()
)


def tunnel_admission(settings: Settings) -> Callable[[KnownClients], Admission]:
    """Raises: ValueError: no token is set."""
    token, owners = settings.service_token, settings.owners
    if token is None:
        raise ValueError("MCPBOX_SERVICE_TOKEN is not set")
    return lambda clients: Tunnel(clients, token, owners)


class Tunnel(Admission):
    remote = True

    def __init__(self, clients: KnownClients, token: SecretStr, owners: Owners) -> None:
        super().__init__()
        self._clients = clients
        self._token = token.get_secret_value().encode()
        self._owners = owners

    def credential(self, request: Request) -> Credential:
        """Whoever sends a header beside the tunnel's own is not who it says."""
        tokens = request.headers.getlist(TOKEN_HEADER)
        given = tokens[0] if len(tokens) == 1 else ""
        if not compare_digest(given.encode(), self._token):
            raise Unauthenticated("This request does not come through the tunnel.")
        emails = request.headers.getlist(EMAIL_HEADER)
        if not emails:
            return Credential("")
        email = plain_email(emails[0]) if len(emails) == 1 else None
        if email is None:
            raise Refused("The tunnel has to say one e-mail address, of whoever signed in.")
        return Credential(email)

    async def admit(self, credential: Credential) -> Admitted:
        email = credential.value
        if not email:
            return Admitted(_NOBODY)
        owner = self._owners.of_email(email)
        if owner is None:
            raise Refused(_NOT_LET_IN)
        identity = Identity(issuer=ISSUER, subject=email, owner=owner)
        try:
            return Admitted(await self._clients.identify(identity.model_dump_json()))
        except Unauthenticated:
            raise Refused(_NOT_LET_IN) from None

    async def judged(self, request: Request, credential: Credential) -> Receive:
        """Without an e-mail address only what says nothing and does nothing."""
        if credential.value or request.method == "DELETE":
            return request.receive
        message = await message_of(request) if request.method == "POST" else {}
        method = message.get("method")
        if not isinstance(method, str) or not _may_without_email(method):
            raise Refused(_WHO)
        return _again(message, request.receive)

    def _unknown(self, error: DomainError, path: str) -> JSONResponse:
        """No client can get this secret, so it is not invited to try."""
        del path
        return refused(403, "forbidden", f"{error} {_WHAT_TO_DO}")


def _may_without_email(method: str) -> bool:
    return method in _WITHOUT_EMAIL or method.startswith("notifications/")


def _again(message: dict[str, Any], receive: Receive) -> Receive:
    """What was judged, and nothing that reads differently, is what is passed on."""
    body: list[Message] = [{"type": "http.request", "body": json.dumps(message).encode()}]

    async def passed_on() -> Message:
        return body.pop() if body else await receive()

    return passed_on


_WHO = (
    "The tunnel did not say who signed in, and only initialize, ping, tools/list and "
    "notifications are answered without. Sign in at the tunnel."
)
_WHAT_TO_DO = (
    "It has to send the header X-MCPbox-Service-Token with the value of MCPBOX_SERVICE_TOKEN."
)
_NOT_LET_IN = (
    "You are signed in, and nobody here has let you in. Ask the operator to name your address in "
    "MCPBOX_IDENTITIES, and to look whether your client was revoked or your account is inactive."
)
