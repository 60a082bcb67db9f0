"""One call of a released tool: checked, run once, answered, logged."""

import asyncio
from typing import Any

import pytest
import structlog
from mcp_types import CallToolResult
from pydantic import SecretStr

from gateway.calls import META_KEY, Calls
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.line import Line
from gateway.metrics import CallMetrics
from gateway.passing import Passing
from gateway.rates import Rates
from gateway.sources import SourceSessions
from mcpbox.domain.errors import NotFound, Refused
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.manifests import Granted, Manifest
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.domain.secrets import HeldSecret
from mcpbox.domain.servers import DesiredState, IsolationMode
from sandbox.contract import BoundSecret, EgressRecord, ErrorKind, RunError, RunResult
from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.running import text_of
from tests.service.gateway.world import World

CALLER = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.CALL}))


class Bench:
    """Calls on one released tool, ``calc__add``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost_at: float | None = None
        self.executions = ExecutionLog(world.write_executions)
        self.catalog = Catalog(world.load_callables, lambda: self.lost_at, self._reloaded)
        self.calls = Calls(
            self.catalog,
            world.sandbox,
            self.executions,
            Rates(lambda: world.settings),
            world.turns,
            CallMetrics(),
            Passing(SourceSessions(world.check_source), world.renew_source),
        )

    def _reloaded(self, _: bool) -> None:
        self.calls.end_forbidden()

    async def call(self, line: Line | None = None, **arguments: Any) -> CallToolResult:
        return await self.calls.call(line or Line(CALLER), "calc__add", arguments)

    async def logged(self) -> Execution:
        await self.executions.flush()
        [execution] = self.world.executions
        return execution

    async def narrow(self, **changes: Any) -> None:
        self.world.narrow("calc__add", **changes)
        await self.catalog.reload()

    async def held_call(self, line: Line | None = None) -> "asyncio.Task[CallToolResult]":
        """A call whose run does not end by itself."""
        self.world.sandbox.may_end = asyncio.Event()
        call = asyncio.create_task(self.call(line, a=1))
        await soon(self.world.sandbox.started.wait())
        return call


@pytest.fixture
async def bench(world: World) -> Bench:
    version = a_version(manifest=Manifest(hosts=("a.org", "b.org")))
    world.callables = [
        a_callable(version, granted=Granted(hosts=frozenset({"b.org", "a.org", "c.org"})))
    ]
    bench = Bench(world)
    await bench.catalog.reload()
    return bench


async def test_a_result_comes_back_as_text_and_structure_with_how_it_ran(bench: Bench) -> None:
    result = await bench.call(a=1)
    execution = await bench.logged()

    assert not result.is_error
    assert text_of(result) == '{"sum": 3}'
    assert result.structured_content == {"sum": 3}
    assert result.meta is not None
    assert result.meta[META_KEY] == {"id": str(execution.id), "stdout": "", "duration_ms": 1.0}
    assert execution.outcome is ExecutionOutcome.OK
    assert execution.origin is Origin.CALL
    assert execution.tool_name == "calc__add"
    assert execution.caller == "client:laptop"
    assert execution.arguments == {"a": 1}
    assert execution.result == '{"sum": 3}'


async def test_i6_a_call_hands_its_secrets_over_beside_the_bundle_and_logs_none(
    bench: Bench,
) -> None:
    held = HeldSecret(value=SecretStr("correct-horse"), hosts=("a.org",))
    bench.world.callables = [
        a_callable(
            a_version(manifest=Manifest(secret_names=("KEY",))),
            granted=Granted(secrets=frozenset({"KEY"})),
            secrets={"KEY": held},
        )
    ]
    await bench.catalog.reload()
    await bench.call(a=1)

    [(bundle, _)] = bench.world.sandbox.runs
    [given] = bench.world.sandbox.secrets
    assert given == {"KEY": BoundSecret(value=held.value, hosts=("a.org",))}
    assert "correct-horse" not in bundle.model_dump_json()
    assert "correct-horse" not in (await bench.logged()).model_dump_json()


@pytest.mark.parametrize(
    ("granted", "advice"),
    [(frozenset[str](), "mcpbox_request_secret"), (frozenset({"KEY"}), "no value yet")],
)
async def test_i1_a_tool_without_its_secret_is_not_run(
    bench: Bench, granted: frozenset[str], advice: str
) -> None:
    version = a_version(manifest=Manifest(secret_names=("KEY",)))
    bench.world.callables = [a_callable(version, granted=Granted(secrets=granted))]
    await bench.catalog.reload()

    result = await bench.call(a=1)

    assert result.is_error
    assert advice in text_of(result)
    assert bench.world.sandbox.runs == []


async def test_the_sandbox_is_given_the_code_and_the_hosts_that_it_names(bench: Bench) -> None:
    await bench.call(a=1)

    [(bundle, arguments)] = bench.world.sandbox.runs
    assert bundle.code == a_version().code
    assert bundle.hosts == ("a.org", "b.org")
    assert arguments == {"a": 1}


@pytest.mark.parametrize(
    ("value", "text", "structured"),
    [
        (None, "null", {"result": None}),
        ([1, "ü"], '[1, "ü"]', {"result": [1, "ü"]}),
        ({"a": float("nan")}, '{"a":null}', {"a": None}),
    ],
)
async def test_structured_content_is_always_an_object_of_plain_json(
    bench: Bench, value: Any, text: str, structured: dict[str, Any]
) -> None:
    bench.world.sandbox.result = RunResult(ok=True, result=value)
    result = await bench.call(a=1)

    assert text_of(result) == text
    assert result.structured_content == structured


async def test_a_failing_tool_is_an_error_with_message_line_and_output(bench: Bench) -> None:
    bench.world.sandbox.result = RunResult(
        ok=False,
        error=RunError(kind=ErrorKind.RAISED, message="ValueError: too big", line=2),
        stdout="before",
    )
    result = await bench.call(a=1)
    execution = await bench.logged()

    assert result.is_error
    assert text_of(result) == "ValueError: too big (line 2)"
    assert result.structured_content["error"]["code"] == "raised"
    assert result.structured_content["error"]["line"] == 2
    assert result.meta is not None
    assert result.meta[META_KEY]["stdout"] == "before"
    assert execution.outcome is ExecutionOutcome.ERROR
    assert execution.error == "ValueError: too big (line 2)"


async def test_wrong_arguments_never_reach_the_sandbox_and_are_logged(bench: Bench) -> None:
    result = await bench.call(a="one")
    execution = await bench.logged()

    assert result.is_error
    assert "At a: 'one' is not of type 'integer'" in text_of(result)
    assert bench.world.sandbox.runs == []
    assert execution.outcome is ExecutionOutcome.REFUSED


async def test_i1_what_may_not_be_called_now_is_refused_with_the_reason(bench: Bench) -> None:
    await bench.narrow(server_state=DesiredState.STOPPED)
    result = await bench.call(a=1)

    assert result.is_error
    assert "is stopped; start it with mcpbox_start_server" in text_of(result)
    assert bench.world.sandbox.runs == []


async def test_what_its_receipt_does_not_cover_is_refused_and_logged_as_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> RunResult:
        raise Refused("The receipt is for other code. Publish the tool again.")

    monkeypatch.setattr(bench.world.sandbox, "run", refuse)
    result = await bench.call(a=1)
    execution = await bench.logged()

    assert result.is_error
    assert "Publish the tool again" in text_of(result)
    assert execution.outcome is ExecutionOutcome.REFUSED
    assert "for other code" in execution.error


async def test_a_released_tool_is_sent_with_its_receipt_and_its_server(bench: Bench) -> None:
    await bench.call(a=1)

    [(bundle, _)] = bench.world.sandbox.runs
    [tool] = bench.world.callables
    assert (bundle.receipt, bundle.server) == (tool.receipt, str(tool.server_id))


async def test_a_client_without_the_scope_is_refused(bench: Bench) -> None:
    author = Principal(kind=PrincipalKind.CLIENT, name="w", scopes=frozenset({Scope.AUTHOR}))
    result = await bench.call(Line(author), a=1)

    assert result.is_error
    assert "'call'" in text_of(result)


async def test_an_unknown_tool_is_not_found(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.calls.call(Line(CALLER), "calc__nothing", {})


async def test_a_stale_catalog_runs_nothing(bench: Bench) -> None:
    bench.lost_at = 0.0
    result = await bench.call(a=1)
    execution = await bench.logged()

    assert result.is_error
    assert text_of(result).startswith("Postgres is not reachable")
    assert bench.world.sandbox.runs == []
    assert execution.outcome is ExecutionOutcome.UNAVAILABLE


async def test_a_lost_sandbox_is_named_and_the_call_is_not_repeated(bench: Bench) -> None:
    bench.world.sandbox.reachable = False
    result = await bench.call(a=1)
    execution = await bench.logged()

    assert result.structured_content["error"]["code"] == "unavailable"
    assert text_of(result).startswith("The sandbox is not reachable")
    assert execution.outcome is ExecutionOutcome.UNAVAILABLE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"server_state": DesiredState.STOPPED}, "is stopped"),
        ({"enabled": False}, "is disabled"),
        ({"granted": Granted(hosts=frozenset({"a.org"}))}, "not granted any more"),
    ],
)
async def test_i9_narrowing_ends_the_calls_in_flight(
    bench: Bench, changes: dict[str, Any], reason: str
) -> None:
    call = await bench.held_call()
    await bench.narrow(**changes)
    result = await soon(call)

    assert result.is_error
    assert reason in text_of(result)
    await soon(bench.world.sandbox.cancelled.wait())
    assert bench.calls.in_flight == 0
    assert (await bench.logged()).outcome is ExecutionOutcome.REFUSED


async def test_i9_calls_that_share_a_process_end_when_sharing_does(bench: Bench) -> None:
    await bench.narrow(isolation=IsolationMode.RELEASE)
    call = await bench.held_call()
    await bench.narrow(isolation=IsolationMode.CALL)

    assert "shared its process with other calls" in text_of(await soon(call))
    assert [bundle.isolation for bundle, _ in bench.world.sandbox.runs] == ["release"]


async def test_calls_of_their_own_process_go_on_when_sharing_begins(bench: Bench) -> None:
    call = await bench.held_call()
    await bench.narrow(isolation=IsolationMode.RELEASE)
    assert bench.world.sandbox.may_end is not None
    bench.world.sandbox.may_end.set()

    assert (await soon(call)).structured_content == {"sum": 3}


async def test_i9_a_deleted_tool_ends_too(bench: Bench) -> None:
    call = await bench.held_call()
    bench.world.callables = []
    await bench.catalog.reload()

    assert "is not released" in text_of(await soon(call))


async def test_an_unrelated_change_lets_a_call_finish(bench: Bench) -> None:
    call = await bench.held_call()
    bench.world.callables.append(a_callable(server="other"))
    await bench.catalog.reload()
    assert bench.world.sandbox.may_end is not None
    bench.world.sandbox.may_end.set()

    assert (await soon(call)).structured_content == {"sum": 3}


async def test_a_client_that_hangs_up_ends_its_run(bench: Bench) -> None:
    line = Line(CALLER)
    call = await bench.held_call(line)
    line.hang_up()
    await soon(call)

    await soon(bench.world.sandbox.cancelled.wait())
    assert (await bench.logged()).error == "The client went away, so the run was cancelled."


async def test_a_cancelled_call_ends_its_run_and_is_logged(bench: Bench) -> None:
    call = await bench.held_call()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(call)

    assert bench.world.sandbox.cancelled.is_set()
    assert (await bench.logged()).outcome is ExecutionOutcome.ERROR


async def test_a_run_that_ends_in_a_bug_of_ours_is_logged_too(bench: Bench) -> None:
    bench.world.callables = [a_callable(a_version("async def main():\n    1 / 0\n"))]
    await bench.catalog.reload()
    with pytest.raises(ZeroDivisionError):
        await bench.call()

    assert (await bench.logged()).error == "Internal error of the gateway."


async def test_calls_run_at_the_same_time(bench: Bench) -> None:
    first = await bench.held_call()
    second = asyncio.create_task(bench.call(a=2))
    await asyncio.sleep(0)
    assert bench.calls.in_flight == 2
    assert bench.world.sandbox.may_end is not None
    bench.world.sandbox.may_end.set()

    assert (await soon(first)).structured_content == {"sum": 3}
    assert (await soon(second)).structured_content == {"sum": 4}


async def test_a_host_that_the_code_does_not_name_is_logged_with_the_call(bench: Bench) -> None:
    bench.world.sandbox.result = RunResult(
        ok=True,
        result=1,
        egress=(
            EgressRecord(method="GET", host="evil.example", refused="Not granted."),
            EgressRecord(method="GET", host="a.org", status=200),
        ),
    )

    await bench.call(a=1)

    assert (await bench.logged()).undeclared == ("evil.example",)


async def test_i6_a_call_that_fails_is_in_the_process_log_without_what_it_said(
    bench: Bench,
) -> None:
    told = RunError(kind=ErrorKind.RAISED, message="ValueError: correct-horse", line=2)
    bench.world.sandbox.result = RunResult(ok=False, error=told, stdout="correct", duration_ms=1)
    with structlog.testing.capture_logs() as lines:
        await bench.call(a=4711)
        bench.world.sandbox.result = None
        await bench.call(a=1)

    [line] = [line for line in lines if line["event"].startswith("call.")]
    assert (line["event"], line["outcome"], line["tool"]) == ("call.failed", "error", "calc__add")
    assert not [word for word in ("correct", "4711") if word in str(line)]
