"""Passes the calls of an approved tool on to the server that it is a tool of."""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, cast

import anyio
from mcp import MCPError
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from gateway.answers import failure
from gateway.released import ReleasedTool
from gateway.sources import Reach, SourceSession, SourceSessions
from mcpbox.breaker import Breaker
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Refused, SourceFailed
from mcpbox.domain.hosts import covers
from mcpbox.domain.ids import SourceId
from mcpbox.policies.external_sources import may_reach
from mcpbox.policies.redaction import Redactor
from mcpbox.policies.ruling import ALLOWED, Ruling
from mcpbox.sandbox_client import OnOutput
from mcpbox.upstream.asking import SessionLost, SignInNeeded, asking
from mcpbox.upstream.tokens import values_in
from mcpbox.usecases.outputs import RedactedOutput, cut_from
from mcpbox.usecases.source_tokens import ends_soon
from sandbox.contract import ErrorKind, RunError, RunResult

CALL_TIMEOUT_S = 60.0
Renew = Callable[[SourceId, SecretStr], Awaitable[SecretStr]]
"""The value of a source's secret in place of one that ends. Raises: SourceFailed; Unavailable."""
REST_S = 15.0
"""How long a source that failed is left alone before one call finds out how it is."""
_PASSED_ON = ("content", "structuredContent", "isError")
_MESSAGE_MAX_CHARS = 2000


class _Answer(BaseModel):
    """Whatever it is: the protocol's own check of it came before."""

    model_config = ConfigDict(extra="allow")


def may_pass(tool: ReleasedTool) -> Ruling:
    """Asked before each call of it, over whatever connection."""
    upstream, source = tool.tool.version.passes_to, tool.tool.source
    if upstream is None:
        return ALLOWED
    if source is None:
        return Ruling(Refused(f"The source of {tool.name!r} is gone; nothing can be called there."))
    hosts = upstream.endpoint.manifest.hosts
    bound = [
        name
        for name, held in tool.tool.secrets.items()
        if any(covers(bound_to, host) for bound_to in held.hosts for host in hosts)
    ]
    return may_reach(
        upstream.endpoint,
        tool.tool.granted,
        bound,
        utc_now(),
        allow_private=source.allow_private,
        quarantined=tool.tool.server_quarantined,
    )


def passed_on(result: Any) -> CallToolResult:
    """What a source answered, as it is; its ``_meta`` was for us, and structure is an object."""
    told = cast("dict[str, Any]", result) if isinstance(result, dict) else {}
    answer = {name: told[name] for name in _PASSED_ON if told.get(name) is not None}
    structured = answer.get("structuredContent")
    if structured is not None and not isinstance(structured, dict):
        answer["structuredContent"] = {"result": structured}
    try:
        return CallToolResult.model_validate(answer, by_name=False)
    except ValidationError:
        return failure("bad_result", "What the tool's source answered is no result of a tool.")


class Passing:
    """Nothing of whoever calls is sent along but the arguments of the call."""

    def __init__(
        self,
        sessions: SourceSessions,
        renew: Renew,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        rest_s: float = REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``timeout_s``: of each call, from the search for a session to its answer."""
        self._sessions = sessions
        self._renewals = _Renewals(renew)
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._clock = clock
        self._breakers: dict[SourceId, Breaker] = {}

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def open_breakers(self) -> int:
        return sum(breaker.is_open for breaker in self._breakers.values())

    async def run(
        self,
        tool: ReleasedTool,
        reach: Reach,
        arguments: dict[str, Any],
        on_output: OnOutput | None = None,
    ) -> RunResult:
        """The result is what the source answered, as the protocol has it.

        Raises: SourceFailed: nobody knows whether the source did it, if it says so; Refused: what
        it offers is not what was approved; TooManyAttempts; Unavailable.
        """
        breaker = self._breaker(reach.source_id, tool.tool.server_name)
        breaker.require_closed()
        began = self._clock()
        try:
            with anyio.fail_after(self._timeout_s):
                result = await self._sent(tool, reach, arguments, on_output)
        except TimeoutError as error:
            breaker.failed()
            raise _told(
                tool,
                SourceFailed(f"It did not answer within {self._timeout_s:g} s.", delivered=True),
            ) from error
        except SourceFailed as failure:
            breaker.failed()
            raise _told(tool, failure) from failure
        breaker.answered()
        took_ms = (self._clock() - began) * 1000
        return result.model_copy(update={"duration_ms": round(took_ms, 3)})

    def keep_only(self, reaches: Iterable[Reach]) -> None:
        """Narrowing acts on what is open too (I9)."""
        self._sessions.keep_only(set(reaches))

    async def close(self) -> None:
        await self._sessions.close()

    async def _sent(
        self,
        tool: ReleasedTool,
        reach: Reach,
        arguments: dict[str, Any],
        on_output: OnOutput | None,
    ) -> RunResult:
        """Once more where the source says that it did not know whose it was, so did nothing."""
        proven = await self._renewals.fresh(reach)
        try:
            return await self._passed(tool, proven, arguments, on_output, hidden=proven != reach)
        except SessionLost:
            return await self._passed(tool, proven, arguments, on_output, hidden=proven != reach)
        except SignInNeeded:
            if reach.lasting == reach:
                raise
            proven = await self._renewals.renewed(proven)
            return await self._passed(tool, proven, arguments, on_output, hidden=True)

    async def _passed(
        self,
        tool: ReleasedTool,
        reach: Reach,
        arguments: dict[str, Any],
        on_output: OnOutput | None,
        *,
        hidden: bool,
    ) -> RunResult:
        """``hidden``: its secret is newer than what whoever calls cuts out of answers."""
        if not hidden or reach.secret is None:
            return await self._sent_once(tool, reach, arguments, on_output)
        redactor = Redactor(values=values_in(reach.endpoint, reach.secret))
        told = None if on_output is None else RedactedOutput(redactor, on_output)
        return cut_from(redactor, await self._sent_once(tool, reach, arguments, told))

    async def _sent_once(
        self,
        tool: ReleasedTool,
        reach: Reach,
        arguments: dict[str, Any],
        on_output: OnOutput | None,
    ) -> RunResult:
        async with self._sessions.session(reach) as session:
            if not await session.offers(tool.tool.version):
                await self._sessions.check(session)
                raise Refused(
                    f"What {tool.name!r} does at its source is no longer what was approved. People "
                    "are asked about the change; until they say yes it is not called."
                )
            try:
                return await self._asked(tool, session, arguments, on_output)
            except SourceFailed:
                self._sessions.retire(session)
                raise

    async def _asked(
        self,
        tool: ReleasedTool,
        session: SourceSession,
        arguments: dict[str, Any],
        on_output: OnOutput | None,
    ) -> RunResult:
        """Raises: SourceFailed."""
        upstream, client = tool.tool.version.passes_to, session.client
        if upstream is None or client is None:
            raise SourceFailed("It ended the session.")
        request = CallToolRequest(
            params=CallToolRequestParams(name=upstream.tool, arguments=arguments)
        )
        try:
            with asking():
                answer = await client.session.send_request(
                    request,
                    _Answer,
                    request_read_timeout_seconds=self._timeout_s,
                    progress_callback=None if on_output is None else _progress(on_output),
                )
        except MCPError as error:
            message = error.error.message[:_MESSAGE_MAX_CHARS]
            told = RunError(kind=ErrorKind.RAISED, message=message or "The source refused it.")
            return RunResult(ok=False, error=told)
        result = dict(answer.model_extra or {})
        if result.get("resultType", "complete") != "complete":
            raise SourceFailed("It asks for something in return, which is not passed on.")
        return RunResult(ok=True, result=result)

    def _breaker(self, source_id: SourceId, server_name: str) -> Breaker:
        breaker = self._breakers.get(source_id)
        if breaker is None:
            part = f"The external source of {server_name!r}"
            breaker = self._breakers[source_id] = Breaker(
                part, rest_s=self._rest_s, clock=self._clock
            )
        return breaker


class _Renewals:
    """Of tokens that end; those of one source one after the other."""

    def __init__(self, renew: Renew) -> None:
        self._renew = renew
        self._done: dict[SourceId, tuple[Reach, Reach]] = {}
        """The newest of each source: in place of which, and what."""
        self._locks: defaultdict[SourceId, anyio.Lock] = defaultdict(anyio.Lock)

    async def fresh(self, reach: Reach) -> Reach:
        """Raises: SourceFailed; NotFound; Unavailable."""
        if reach.lasting == reach or reach.secret is None or not ends_soon(reach.secret):
            return reach
        return await self.renewed(reach)

    async def renewed(self, reach: Reach) -> Reach:
        """Raises: SourceFailed; NotFound; Unavailable."""
        if reach.secret is None:
            return reach
        async with self._locks[reach.source_id]:
            done = self._done.get(reach.source_id)
            if done is not None and done[0] == reach:
                return done[1]
            secret = await self._renew(reach.source_id, reach.secret)
            found = replace(reach, secret=secret)
            self._done[reach.source_id] = reach, found
            return found


def _progress(on_output: OnOutput) -> Callable[..., Any]:
    async def tell(progress: float, total: float | None, message: str | None) -> None:
        so_far = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
        await on_output(f"{message or so_far}\n")

    return tell


def _told(tool: ReleasedTool, failure: SourceFailed) -> SourceFailed:
    """With whose it is, and whether it may be repeated."""
    done = (
        "It may have done what was asked: look before you call again."
        if failure.delivered
        else "Nothing was done; try again."
    )
    return SourceFailed(
        f"The source of {tool.name!r} failed. {failure} {done}", delivered=failure.delivered
    )
