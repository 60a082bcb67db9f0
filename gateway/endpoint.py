"""What every request passes before the protocol sees it: address, identity, size, shutdown."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from mcp_types import INVALID_REQUEST
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.admission import Admission, Admitted, Credential, refused
from gateway.clients import principal_of
from gateway.line import Line
from gateway.loopback import is_forwarded
from gateway.rates import Rates
from gateway.refusals import too_fast
from gateway.views import view_at
from mcpbox.domain.errors import DomainError, RateExceeded, Refused, Unauthenticated, Unavailable
from mcpbox.domain.people import Client
from mcpbox.policies.editing import is_remote

MAX_BODY_BYTES = 4 * 2**20
BODY_TIMEOUT_S = 30.0
LINE_KEY = "mcpbox.line"
_RECHECK_AGAIN_S = 0.5
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

log = structlog.get_logger()


def security_for(public_hosts: tuple[str, ...]) -> TransportSecuritySettings:
    """Loopback and the public names, on any port: a page elsewhere cannot reach us by rebinding."""
    names = (*_LOOPBACK, *public_hosts)
    origins = [f"{scheme}://{name}" for name in names for scheme in ("http", "https")]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=_with_any_port(names),
        allowed_origins=_with_any_port(origins),
    )


def _with_any_port(names: Iterable[str]) -> list[str]:
    return [form for name in names for form in (name, f"{name}:*")]


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request in progress; some last as long as their client listens."""

    client: Client
    credential: Credential
    is_stream: bool
    line: Line
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    refusal: DomainError | None = None


class McpEndpoint:
    """ASGI app of ``/mcp`` and the other views."""

    def __init__(
        self,
        manager: StreamableHTTPSessionManager,
        admission: Admission,
        security: TransportSecuritySettings,
        rates: Rates,
    ) -> None:
        self._manager = manager
        self._admission = admission
        self._rates = rates
        self._security = TransportSecurityMiddleware(security)
        self._exchanges: set[_Exchange] = set()
        self._recheck = anyio.Event()
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refused = await self._refused(request)
        if refused is not None:
            await refused(scope, receive, send)
            return
        try:
            credential = self._admission.credential(request)
            admitted = await self._admission.admit(credential)
            client = admitted.client
            if request.method != "DELETE":  # whoever ends a session asks for nothing more
                self._rates.take_request(client)
            receive = await self._admission.judged(request, credential)
        except RateExceeded as error:
            await (await too_fast(request, error))(scope, receive, send)
            return
        except DomainError as error:
            await self._admission.refusal(error, scope["path"])(scope, receive, send)
            return
        remote = self._admission.remote or _from_outside(request)
        line = Line(principal_of(client), remote=remote, view=view_at(scope))
        exchange = _Exchange(client, credential, request.method == "GET", line)
        exchange.scope.deadline = self._deadline(admitted)
        await self._serve(exchange, {**scope, **_identity(client, line)}, receive, send)

    def recheck(self) -> None:
        """Clients have changed: whoever is connected has to be known still."""
        self._recheck.set()

    async def run(self) -> None:
        while True:
            await self._recheck.wait()
            self._recheck = anyio.Event()
            for credential in {exchange.credential for exchange in self._exchanges}:
                try:
                    self._hold(credential, await self._admission.admit(credential))
                except (Unauthenticated, Refused) as error:
                    self._end(credential, error)
                except Unavailable:
                    log.warning("clients.recheck_failed")
                    self._recheck.set()
            if self._recheck.is_set():
                await anyio.sleep(_RECHECK_AGAIN_S)

    def drain(self) -> None:
        """Refuse new requests and end the streams; calls in flight may finish."""
        self._draining = True
        for exchange in tuple(self._exchanges):
            if exchange.is_stream:
                exchange.scope.cancel()

    async def _refused(self, request: Request) -> JSONResponse | None:
        if self._draining:
            return refused(503, "shutting_down", "The gateway is shutting down; try again shortly.")
        rejection = await self._security.validate_request(request)
        if rejection is None:
            return None
        header = "Origin" if rejection.status_code == 403 else "Host"
        return refused(
            rejection.status_code,
            "unknown_host",
            f"The {header} header names an address that this gateway does not answer to. "
            "Use a loopback address, or have the operator add the name to MCPBOX_PUBLIC_HOSTS.",
        )

    async def _serve(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        reply, arrival = _Reply(send), _Arrival(receive, exchange.scope.cancel)
        self._exchanges.add(exchange)
        try:
            with exchange.scope:
                await self._manager.handle_request(scope, arrival.receive, reply.send)
        finally:
            self._exchanges.discard(exchange)
            exchange.line.hang_up()
        if exchange.refusal is None and exchange.scope.deadline <= anyio.current_time():
            exchange.refusal = Unauthenticated("What this request showed ended before its answer.")
        if exchange.refusal is not None and not reply.started:
            refusal = self._admission.refusal(exchange.refusal, scope["path"])
            await refusal(scope, receive, send)
        elif arrival.late and not reply.started:
            await _too_slow()(scope, receive, send)
        else:
            # A stream that was ended from here is cut short for its client otherwise.
            await reply.finish()

    def _deadline(self, admitted: Admitted) -> float:
        """Of the event loop's clock; a stream would else outlive what opened it by any time."""
        if admitted.until is None:
            return math.inf
        left_s = admitted.until - time.time() + self._admission.outlives_s
        return anyio.current_time() + left_s

    def _hold(self, credential: Credential, admitted: Admitted) -> None:
        """Its end may have changed: a token that was replaced is good for its grace only."""
        for exchange in self._exchanges:
            if exchange.credential == credential:
                exchange.scope.deadline = self._deadline(admitted)

    def _end(self, credential: Credential, refusal: DomainError) -> None:
        for exchange in tuple(self._exchanges):
            if exchange.credential == credential:
                log.info("client.disconnected", client=exchange.client.name)
                exchange.refusal = refusal
                exchange.scope.cancel()


class _Arrival:
    """Watches a request arrive: one that never does would keep what it holds for ever."""

    def __init__(self, receive: Receive, give_up: Callable[[], None]) -> None:
        self._receive = receive
        self._give_up = give_up
        self._deadline = anyio.current_time() + BODY_TIMEOUT_S
        self._arrived = False
        self.late = False

    async def receive(self) -> Message:
        if self._arrived:
            return await self._receive()
        with anyio.CancelScope(deadline=self._deadline):
            message = await self._receive()
            self._arrived = not message.get("more_body", False)
            return message
        self.late = True
        self._give_up()
        return await _nothing()


class _Reply:
    """Watches an answer on its way, and puts our words where the transport's are of no use.

    Those are a bare 413, and a 400 that lists how each kind of message failed to be read.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self._ended = False
        self._replaced = False
        self._held: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 413:
            await self._replace(_too_large())
        elif message["type"] == "http.response.start" and message["status"] == 400:
            self._held = message
            return
        if self._held is not None and not self._replaced:
            held, self._held = self._held, None
            if b"Validation error" in message.get("body", b""):
                await self._replace(_not_a_message())
            else:
                self.started = True
                await self._send(held)
        if self._replaced:
            return
        self.started = self.started or message["type"] == "http.response.start"
        if message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
        await self._send(message)

    async def _replace(self, response: JSONResponse) -> None:
        self._replaced = self.started = self._ended = True
        await response({"type": "http", "method": "POST"}, _nothing, self._send)

    async def finish(self) -> None:
        if self.started and not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _from_outside(request: Request) -> bool:
    peer = request.client.host if request.client else None
    return is_remote(peer, forwarded=is_forwarded(request))


def _identity(client: Client, line: Line) -> Mapping[str, Any]:
    """The SDK binds a session to its ``user``: to any other client it does not exist."""
    access = AccessToken(token="", client_id=str(client.id), scopes=sorted(client.scopes))
    return {"user": AuthenticatedUser(access), LINE_KEY: line}


def _too_large() -> JSONResponse:
    limit = MAX_BODY_BYTES // 2**20
    return refused(413, "too_large", f"The request is larger than {limit} MiB; send less at once.")


def _too_slow() -> JSONResponse:
    return refused(
        408,
        "too_slow",
        f"The request did not arrive whole within {BODY_TIMEOUT_S:g} s; send it again.",
        {"connection": "close"},
    )


def _not_a_message() -> JSONResponse:
    """Source: JSON-RPC 2.0 §5.1, "Invalid Request"."""
    message = "This is no JSON-RPC message: send one object with jsonrpc, method and, if any, id."
    error = {"code": INVALID_REQUEST, "message": message}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status_code=400)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
