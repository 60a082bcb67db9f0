"""The one way to the sandbox: its contract, spoken over a unix socket or TCP."""

from typing import Any

import httpx
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


class SandboxClient:
    """Keeps its connections; close it with :meth:`aclose`.

    A run is never sent twice: whoever called knows whether it may be repeated, we do not.
    """

    def __init__(self, *, url: str, api_key: SecretStr, socket: str | None = None) -> None:
        """``socket``: path of the unix socket; ``url`` then only names the host."""
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={
                API_KEY_HEADER: api_key.get_secret_value(),
                "content-type": "application/json",
            },
            transport=httpx.AsyncHTTPTransport(
                uds=socket,
                limits=httpx.Limits(max_connections=128, max_keepalive_connections=64),
            ),
        )

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
        response = await self._post("/runs", request, timeout)
        if response.status_code == UNKNOWN_BUNDLE_STATUS:
            # It restarted, or never saw this release: registration heals itself.
            known = request.model_copy(update={"bundle": bundle})
            response = await self._post("/runs", known, timeout)
        return RunResult.model_validate_json(self._body(response))

    async def check(self, code: str, modules: tuple[str, ...] = ()) -> CheckResult:
        """Raises: Unavailable."""
        response = await self._post("/checks", CheckRequest(code=code, modules=modules), _GRACE_S)
        return CheckResult.model_validate_json(self._body(response))

    async def health(self) -> Health:
        """Raises: Unavailable."""
        try:
            response = await self._http.get("/health", timeout=_CONNECT_TIMEOUT_S)
        except httpx.HTTPError as error:
            raise Unavailable(_PART) from error
        return Health.model_validate_json(self._body(response))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: Wire, timeout: float) -> httpx.Response:
        try:
            return await self._http.post(
                path,
                content=body.model_dump_json(exclude_defaults=True),
                timeout=httpx.Timeout(timeout, connect=_CONNECT_TIMEOUT_S),
            )
        except httpx.ConnectError as error:
            raise Unavailable(_PART, "Nothing was run; try again.") from error
        except httpx.HTTPError as error:
            raise Unavailable(_PART, "The code may have run in part.") from error

    def _body(self, response: httpx.Response) -> bytes:
        if response.status_code == BUSY_STATUS:
            raise TooManyAttempts("The sandbox is busy and its queue is full; try again shortly.")
        if not response.is_success:
            raise Unavailable(_PART, f"It answered {response.status_code}; see its log.")
        return response.content
