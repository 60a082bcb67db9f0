"""The one way to the sandbox: its contract, spoken over a unix socket or TCP.

With ``aiohttp``, not the ``httpx`` used elsewhere: on this hop, which every call takes, it costs a
third of the CPU time (ADR 0014).
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import aiohttp
from pydantic import SecretStr

from mcpbox import tracing
from mcpbox.breaker import Breaker
from mcpbox.domain.errors import Invalid, Refused, TooManyAttempts, Unavailable
from mcpbox.settings import Settings
from sandbox.contract import (
    API_KEY_HEADER,
    BUSY_STATUS,
    EVENTS_MEDIA_TYPE,
    NOT_APPROVED_STATUS,
    UNKNOWN_BUNDLE_STATUS,
    UNKNOWN_MODULE_SET_STATUS,
    BoundSecret,
    Bundle,
    BusyProblem,
    CheckRequest,
    CheckResult,
    Health,
    InstalledModuleSet,
    MissingWheels,
    ModuleSet,
    RegisteredBundle,
    RunEvent,
    RunLimits,
    RunRequest,
    RunResult,
    Wire,
)

OnOutput = Callable[[str], Awaitable[None]]
_PART = "The sandbox"
_HEALTH = "/health"
_CONNECT_TIMEOUT_S = 2.0
_GRACE_S = 10.0
"""Beyond a run's own wall limit: queueing, and the way there and back."""
_ANSWER_MAX_BYTES = 32 * 2**20
_INSTALL_TIMEOUT_S = 300.0
_KEEP_ALIVE_S = 4.0
"""Less than the five seconds after which the service closes an idle connection."""


class ModuleSets(Protocol):
    """Whence a sandbox is given what it does not have."""

    async def module_set(self, key: str) -> ModuleSet:
        """Raises: NotFound."""
        ...

    async def wheel(self, sha256: str) -> bytes:
        """Raises: NotFound."""
        ...


class SandboxClient:
    """Keeps its connections; close it with :meth:`aclose`.

    A run is never sent twice: whoever called knows whether it may be repeated, we do not.
    """

    def __init__(
        self,
        *,
        url: str,
        api_key: SecretStr,
        socket: str | None = None,
        module_sets: ModuleSets | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        """``socket``: path of the unix socket; ``url`` then only names the host.

        ``module_sets``: needed by whoever runs code that imports granted modules.

        ``breaker``: for whoever has it run; without one every request is sent.
        """
        self._breaker = breaker
        self._module_sets = module_sets
        self._url = url.rstrip("/")
        self._socket = socket
        self._headers = {
            API_KEY_HEADER: api_key.get_secret_value(),
            "content-type": "application/json",
        }
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        module_sets: ModuleSets | None = None,
        breaker: Breaker | None = None,
    ) -> "SandboxClient":
        """Raises: Invalid: neither an address nor a socket is configured."""
        if settings.sandbox_api_key is None:
            raise Invalid("MCPBOX_SANDBOX_API_KEY is not set; 'mcpbox up' sets it by itself.")
        if settings.sandbox_url is not None:
            return cls(
                url=settings.sandbox_url,
                api_key=settings.sandbox_api_key,
                module_sets=module_sets,
                breaker=breaker,
            )
        if settings.sandbox_socket is None:
            raise Invalid("Set MCPBOX_SANDBOX_URL, or MCPBOX_SANDBOX_SOCKET on one machine.")
        return cls(
            url="http://sandbox",
            api_key=settings.sandbox_api_key,
            socket=str(settings.sandbox_socket),
            module_sets=module_sets,
            breaker=breaker,
        )

    async def run(
        self,
        bundle: Bundle,
        arguments: dict[str, Any],
        *,
        limits: RunLimits | None = None,
        trial: bool = False,
        secret_names: Iterable[str] = (),
        on_output: OnOutput | None = None,
        secrets: Mapping[str, BoundSecret] | None = None,
    ) -> RunResult:
        """Run the bundle; a failing tool is a result, not an error.

        ``secret_names``: of a trial, which gets dummies under these names.

        ``on_output`` is told what is printed while it runs; the result has it all again. A slow one
        is told more at a time, and delays the result, not the run.

        Raises: Unavailable; TooManyAttempts: its queue is full; Refused: released code that its
        receipt does not cover.
        """
        request = RunRequest(
            bundle_key=bundle.key,
            arguments=arguments,
            limits=limits or RunLimits(),
            trial=trial,
            secrets={
                **{name: BoundSecret(value=SecretStr("")) for name in secret_names},
                **(secrets or {}),
            },
        )
        with tracing.asking("sandbox.run", {tracing.Attribute.TRIAL: trial}):
            return await self._run(bundle, request, on_output)

    async def _run(
        self, bundle: Bundle, request: RunRequest, on_output: OnOutput | None
    ) -> RunResult:
        timeout = request.limits.wall_s + _GRACE_S
        status, body = await self._post("/runs", request, timeout, on_output)
        if status == UNKNOWN_BUNDLE_STATUS:
            # It restarted, or never saw this release: registration heals itself.
            known = request.model_copy(update={"bundle": bundle})
            status, body = await self._post("/runs", known, timeout, on_output)
        if status == UNKNOWN_MODULE_SET_STATUS and bundle.module_set is not None:
            await self.install(bundle.module_set)
            known = request.model_copy(update={"bundle": bundle})
            status, body = await self._post("/runs", known, timeout, on_output)
        return RunResult.model_validate_json(_accepted(status, body))

    async def check(self, code: str, modules: tuple[str, ...] = ()) -> CheckResult:
        """Raises: Unavailable."""
        request = CheckRequest(code=code, modules=modules)
        return CheckResult.model_validate_json(
            _accepted(*await self._post("/checks", request, _GRACE_S))
        )

    async def install(self, key: str) -> InstalledModuleSet:
        """Idempotent. Raises: NotFound; Refused: it cannot be installed, and why; Unavailable."""
        if self._module_sets is None:
            raise Unavailable(_PART, "Nothing here can give it the modules.")
        wanted = await self._module_sets.module_set(key)
        path = f"/module-sets/{key}"
        status, body = await self._put(path, wanted.model_dump_json().encode())
        if status == UNKNOWN_MODULE_SET_STATUS:
            for sha256 in MissingWheels.model_validate_json(body).missing:
                content = await self._module_sets.wheel(sha256)
                _installed(*await self._put(f"/wheels/{sha256}", content))
            status, body = await self._put(path, wanted.model_dump_json().encode())
        return InstalledModuleSet.model_validate_json(_installed(status, body))

    async def register(self, bundle: Bundle) -> RegisteredBundle:
        """Make a release ready to run, with its modules; nothing of it is run.

        Raises: Unavailable; TooManyAttempts; Refused: what its receipt does not cover, or why its
        modules cannot be installed; NotFound: its modules are not kept here any more.
        """
        path, content = f"/bundles/{bundle.key}", bundle.model_dump_json().encode()
        status, body = await self._put(path, content)
        if status == UNKNOWN_MODULE_SET_STATUS and bundle.module_set is not None:
            await self.install(bundle.module_set)
            status, body = await self._put(path, content)
        return RegisteredBundle.model_validate_json(_accepted(status, body))

    async def health(self) -> Health:
        """It is asked whatever the breaker says, and an answer closes that. Raises: Unavailable."""
        status, body = await self._send("GET", _HEALTH, None, _CONNECT_TIMEOUT_S)
        return Health.model_validate_json(_accepted(status, body))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(
        self, path: str, body: Wire, timeout: float, on_output: OnOutput | None = None
    ) -> tuple[int, bytes]:
        content = body.model_dump_json(exclude_defaults=True).encode()
        return await self._send("POST", path, content, timeout, on_output)

    async def _put(self, path: str, content: bytes) -> tuple[int, bytes]:
        return await self._send("PUT", path, content, _INSTALL_TIMEOUT_S)

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        timeout: float,
        on_output: OnOutput | None = None,
    ) -> tuple[int, bytes]:
        breaker = self._breaker
        if breaker is not None and path != _HEALTH:
            breaker.require_closed()
        headers = tracing.headers()
        if on_output is not None:
            headers["accept"] = EVENTS_MEDIA_TYPE
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT_TIMEOUT_S)
        try:
            async with self._opened().request(
                method, self._url + path, data=content, headers=headers, timeout=limit
            ) as response:
                if breaker is not None:
                    breaker.answered()
                if on_output is not None and response.status == HTTPStatus.OK:
                    return response.status, await _followed(response.content, on_output)
                return response.status, await _whole(response.content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if breaker is not None:
                breaker.failed()
            raise Unavailable(_PART, "Nothing was run; try again.") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            if breaker is not None and isinstance(error, TimeoutError) and path != _HEALTH:
                breaker.doubt()
            elif breaker is not None:
                breaker.failed()
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


async def _whole(content: aiohttp.StreamReader) -> bytes:
    return b"".join([part async for part in _limited(content)])


async def _limited(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Raises: Refused: no tool that keeps its limits answers so much."""
    left = _ANSWER_MAX_BYTES
    async for part in content.iter_any():
        left -= len(part)
        if left < 0:
            raise Refused(
                f"The sandbox answered with more than {_ANSWER_MAX_BYTES // 2**20} MiB, which no "
                "tool within its limits does; the answer was dropped. Look at the sandbox."
            )
        yield part


async def _followed(events: aiohttp.StreamReader, on_output: OnOutput) -> bytes:
    """The result at the end. Raises: ClientPayloadError: there is none."""
    unread, result = b"", None
    async for part in _limited(events):
        *lines, unread = (unread + part).split(b"\n")
        for event in map(RunEvent.model_validate_json, lines):
            if event.stdout:
                await on_output(event.stdout)
            result = event.result
    if result is None:
        raise aiohttp.ClientPayloadError("the stream ended without a result")
    return result.model_dump_json().encode()


def _installed(status: int, body: bytes) -> bytes:
    """Raises: Refused; Unavailable."""
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise Refused(f"The modules cannot be installed. {_detail(body)}".rstrip())
    if status not in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
        raise Unavailable(_PART, f"It answered {status}; see its log.")
    return body


def _detail(body: bytes) -> str:
    """Of a problem, as the sandbox worded it."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return ""


def _accepted(status: int, body: bytes) -> bytes:
    """Raises: Unavailable; TooManyAttempts; Refused."""
    if status == BUSY_STATUS:
        busy = BusyProblem.model_validate_json(body)
        raise TooManyAttempts(f"{busy.detail} Nothing was run.")
    if status == NOT_APPROVED_STATUS:
        raise Refused(f"The sandbox does not run it. {_detail(body)} Publish the tool again.")
    if status != HTTPStatus.OK:
        raise Unavailable(_PART, f"It answered {status}; see its log.")
    return body
