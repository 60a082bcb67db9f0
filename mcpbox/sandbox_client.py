"""The one way to the sandbox: its contract, spoken over a unix socket or TCP.

With ``aiohttp``, not the ``httpx`` used elsewhere: on this hop, which every call takes, it costs a
third of the CPU time (ADR 0014).
"""

from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic import SecretStr

from mcpbox.domain.errors import Invalid, TooManyAttempts, Unavailable
from mcpbox.settings import Settings
from sandbox.contract import (
    API_KEY_HEADER,
    BUSY_STATUS,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    CheckRequest,
    CheckResult,
    Health,
    RunLimits,
    RunRequest,
    RunResult,
    Wire,
)

_PART = "The sandbox"
_CONNECT_TIMEOUT_S = 2.0
_GRACE_S = 10.0
"""Beyond a run's own wall limit: queueing, and the way there and back."""
_KEEP_ALIVE_S = 4.0
"""Less than the five seconds after which the service closes an idle connection."""


class SandboxClient:
    """Keeps its connections; close it with :meth:`aclose`.

    A run is never sent twice: whoever called knows whether it may be repeated, we do not.
    """

    def __init__(self, *, url: str, api_key: SecretStr, socket: str | None = None) -> None:
        """``socket``: path of the unix socket; ``url`` then only names the host."""
        self._url = url.rstrip("/")
        self._socket = socket
        self._headers = {
            API_KEY_HEADER: api_key.get_secret_value(),
            "content-type": "application/json",
        }
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, settings: Settings) -> "SandboxClient":
        """Raises: Invalid: neither an address nor a socket is configured."""
        if settings.sandbox_api_key is None:
            raise Invalid("MCPBOX_SANDBOX_API_KEY is not set; 'mcpbox up' sets it by itself.")
        if settings.sandbox_url is not None:
            return cls(url=settings.sandbox_url, api_key=settings.sandbox_api_key)
        if settings.sandbox_socket is None:
            raise Invalid("Set MCPBOX_SANDBOX_URL, or MCPBOX_SANDBOX_SOCKET on one machine.")
        return cls(
            url="http://sandbox",
            api_key=settings.sandbox_api_key,
            socket=str(settings.sandbox_socket),
        )

    async def run(
        self,
        bundle: Bundle,
        arguments: dict[str, Any],
        *,
        limits: RunLimits | None = None,
        trial: bool = False,
    ) -> RunResult:
        """Run the bundle; a failing tool is a result, not an error.

        Raises: Unavailable; TooManyAttempts: its queue is full.
        """
        request = RunRequest(
            bundle_key=bundle.key,
            arguments=arguments,
            limits=limits or RunLimits(),
            trial=trial,
        )
        timeout = request.limits.wall_s + _GRACE_S
        status, body = await self._post("/runs", request, timeout)
        if status == UNKNOWN_BUNDLE_STATUS:
            # It restarted, or never saw this release: registration heals itself.
            known = request.model_copy(update={"bundle": bundle})
            status, body = await self._post("/runs", known, timeout)
        return RunResult.model_validate_json(_accepted(status, body))

    async def check(self, code: str, modules: tuple[str, ...] = ()) -> CheckResult:
        """Raises: Unavailable."""
        request = CheckRequest(code=code, modules=modules)
        return CheckResult.model_validate_json(
            _accepted(*await self._post("/checks", request, _GRACE_S))
        )

    async def health(self) -> Health:
        """Raises: Unavailable."""
        status, body = await self._send("GET", "/health", None, _CONNECT_TIMEOUT_S)
        return Health.model_validate_json(_accepted(status, body))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, path: str, body: Wire, timeout: float) -> tuple[int, bytes]:
        content = body.model_dump_json(exclude_defaults=True).encode()
        return await self._send("POST", path, content, timeout)

    async def _send(
        self, method: str, path: str, content: bytes | None, timeout: float
    ) -> tuple[int, bytes]:
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            async with self._opened().request(
                method, self._url + path, data=content, timeout=limit
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unavailable(_PART, "Nothing was run; try again.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(_PART, "The code may have run in part.") from error

    def _opened(self) -> aiohttp.ClientSession:
        """Made inside the running loop, which it belongs to."""
        if self._session is None:
            limits: dict[str, Any] = {"limit": 128, "keepalive_timeout": _KEEP_ALIVE_S}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._socket, **limits)
                if self._socket
                else aiohttp.TCPConnector(**limits),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _accepted(status: int, body: bytes) -> bytes:
    """Raises: Unavailable; TooManyAttempts."""
    if status == BUSY_STATUS:
        raise TooManyAttempts("The sandbox is busy and its queue is full; try again shortly.")
    if status != HTTPStatus.OK:
        raise Unavailable(_PART, f"It answered {status}; see its log.")
    return body
