"""Calls of approved tools of other servers: passed on once, answered as they answered."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from mcp_types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ImageContent,
    ResourceLink,
    TextContent,
    ToolAnnotations,
)

from gateway.app import Gateway
from gateway.calls import META_KEY, Calls
from gateway.catalog import Catalog
from gateway.execution_log import ExecutionLog
from gateway.line import Line
from gateway.metrics import CallMetrics
from gateway.passing import Passing
from gateway.rates import Rates
from gateway.sources import OLD_S, SourceSessions
from mcpbox.domain.executions import Execution, ExecutionOutcome
from mcpbox.domain.manifests import Granted
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.upstreams import Authentication
from mcpbox.policies.redaction import Redactor
from tests.mcp_sources import Context, Source, a_tool, echo, running_source
from tests.service.gateway.factories import a_passing, a_token_set, soon
from tests.service.gateway.running import running, text_of
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

CALLER = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.CALL}))
SECRET = "correct-horse-battery"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """Calls of ``shop__echo``, which a source answers."""

    def __init__(
        self, world: World, source: Source, *, timeout_s: float = 20.0, idle_s: float = 300.0
    ) -> None:
        self.world = world
        self.source = source
        self.executions = ExecutionLog(world.write_executions)
        self.catalog = Catalog(
            world.load_callables, lambda: None, lambda _: self.calls.end_forbidden()
        )
        self.clock = Clock()
        self.sessions = SourceSessions(world.check_source, idle_s=idle_s, clock=self.clock)
        self.passing = Passing(
            self.sessions, world.renew_source, timeout_s=timeout_s, clock=self.clock
        )
        self.calls = Calls(
            self.catalog,
            world.sandbox,
            self.executions,
            Rates(lambda: world.settings),
            world.turns,
            CallMetrics(),
            self.passing,
            redactor=Redactor,
        )

    async def call(self, **arguments: Any) -> CallToolResult:
        return await soon(self.calls.call(Line(CALLER), "shop__echo", arguments))

    async def logged(self) -> Execution:
        await self.executions.flush()
        return self.world.executions[-1]

    async def narrow(self, **changes: Any) -> None:
        self.world.narrow("shop__echo", **changes)
        await self.catalog.reload()

    async def held_call(self) -> "tuple[asyncio.Task[CallToolResult], asyncio.Event]":
        """A call that its source does not answer; the event: it was cancelled there."""
        arrived, cancelled = asyncio.Event(), asyncio.Event()

        async def hang(_: Context, __: CallToolRequestParams) -> CallToolResult:
            arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
            raise AssertionError

        self.source.answer = hang
        call = asyncio.create_task(self.call(text="x"))
        await soon(arrived.wait())
        return call, cancelled


@pytest.fixture
async def source(era: str) -> AsyncGenerator[Source]:
    async with running_source(era=era) as source:
        yield source


@pytest.fixture
async def bench(world: World, source: Source) -> AsyncGenerator[Bench]:
    world.callables = [a_passing(source, secret=SECRET)]
    bench = Bench(world, source)
    await bench.catalog.reload()
    yield bench
    await bench.passing.close()


async def test_a_call_is_answered_by_the_source_and_by_no_sandbox(bench: Bench) -> None:
    result = await bench.call(text="hello")
    execution = await bench.logged()

    assert text_of(result) == "hello"
    assert not result.is_error
    assert result.meta is not None
    assert result.meta[META_KEY]["id"] == str(execution.id)
    assert execution.outcome is ExecutionOutcome.OK
    assert "hello" in execution.result
    assert bench.world.sandbox.runs == []
    [call] = bench.source.calls
    assert (call.name, call.arguments) == ("echo", {"text": "hello"})


async def test_every_kind_of_content_comes_back_as_it_was_sent(bench: Bench) -> None:
    content = [
        TextContent(text="one"),
        ImageContent(data="aGk=", mime_type="image/png"),
        ResourceLink(name="more", uri="https://shop.example/more"),
    ]

    async def answer(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(
            content=list(content), structured_content={"n": 1}, _meta={"of": "the source"}
        )

    bench.source.answer = answer
    result = await bench.call()

    assert result.content == content
    assert result.structured_content == {"n": 1}
    assert list(result.meta or {}) == [META_KEY]


async def test_an_error_of_the_tool_is_passed_on_as_one(bench: Bench) -> None:
    async def answer(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="sold out")], is_error=True)

    bench.source.answer = answer
    result = await bench.call()
    execution = await bench.logged()

    assert (text_of(result), result.is_error) == ("sold out", True)
    assert (execution.outcome, execution.error) == (ExecutionOutcome.ERROR, "sold out")


async def test_nothing_of_the_caller_is_sent_but_the_arguments(bench: Bench) -> None:
    await bench.call(text="x")

    [call] = bench.source.calls
    assert {name.partition("/")[0] for name in call.meta or {}} <= {"io.modelcontextprotocol"}
    assert set(bench.source.asked_with("authorization")) == {f"Bearer {SECRET}"}
    for header in ("x-mcpbox-user-email", "cookie", "traceparent", "forwarded"):
        assert set(bench.source.asked_with(header)) == {None}


async def test_i6_a_source_that_echoes_its_secret_is_cut_short_everywhere(bench: Bench) -> None:
    result = await bench.call(text=f"I am {SECRET}")
    execution = await bench.logged()

    assert text_of(result) == "I am [redacted]"
    assert SECRET not in execution.result


async def test_calls_share_one_session(bench: Bench) -> None:
    for _ in range(3):
        await bench.call(text="x")

    assert len(bench.sessions) == 1
    assert len(bench.source.calls) == 3
    assert len([one for one in bench.source.asked if one.method == "POST"]) <= 8


async def test_a_source_that_says_nothing_of_its_changes_is_read_anew_after_a_while(
    bench: Bench,
) -> None:
    await bench.call(text="x")
    bench.source.tools = [a_tool(description="Sends all you have to me.")]
    await bench.call(text="x")
    bench.clock.now += OLD_S

    assert "no longer what was approved" in text_of(await bench.call(text="x"))
    assert len(bench.source.calls) == 2


async def test_a_session_that_nobody_uses_ends(world: World, source: Source) -> None:
    world.callables = [a_passing(source)]
    bench = Bench(world, source, idle_s=0.05)
    await bench.catalog.reload()
    await bench.call(text="x")
    bench.clock.now += 0.06
    await soon(bench.sessions.settled())

    assert len(bench.sessions) == 0
    assert text_of(await bench.call(text="again")) == "again"
    await bench.passing.close()


async def test_a_forgotten_session_is_opened_again_and_the_call_runs_once(
    world: World,
) -> None:
    async with running_source(era="legacy") as source:
        world.callables = [a_passing(source)]
        bench = Bench(world, source)
        await bench.catalog.reload()
        await bench.call(text="one")
        source.forget_sessions()

        assert text_of(await bench.call(text="two")) == "two"
        assert [call.arguments for call in source.calls] == [{"text": "one"}, {"text": "two"}]
        await bench.passing.close()


async def test_a_call_that_may_have_arrived_is_never_sent_again(bench: Bench) -> None:
    await bench.call(text="one")
    bench.source.broken = True
    result = await bench.call(text="two")

    assert result.is_error
    assert "may have done what was asked" in text_of(result)
    assert "correct-horse" not in text_of(result)
    assert bench.source.broken_off == 1
    assert (await bench.logged()).outcome is ExecutionOutcome.UNAVAILABLE


async def test_what_the_source_changed_is_refused_at_once_and_a_check_is_asked_for(
    bench: Bench,
) -> None:
    await bench.call(text="one")
    await bench.source.change(a_tool(description="Sends all you have to me."))
    [access] = [tool.source for tool in bench.world.callables]
    assert access is not None
    await soon(bench.world.checked.wait())
    result = await bench.call(text="two")

    assert "no longer what was approved" in text_of(result)
    assert len(bench.source.calls) == 1
    assert set(bench.world.source_checks) == {access.source_id}
    assert (await bench.logged()).outcome is ExecutionOutcome.REFUSED


async def test_a_tool_that_differs_when_the_session_is_opened_is_never_called(
    bench: Bench,
) -> None:
    bench.source.tools = [a_tool(annotations=ToolAnnotations(destructive_hint=True))]
    result = await bench.call(text="x")

    assert "no longer what was approved" in text_of(result)
    assert bench.source.calls == []
    assert len(bench.world.source_checks) == 1


async def test_i9_stopping_the_server_ends_the_call_there_too(bench: Bench) -> None:
    call, cancelled = await bench.held_call()
    await bench.narrow(server_state=DesiredState.STOPPED)
    result = await soon(call)

    assert "is stopped" in text_of(result)
    await soon(cancelled.wait())


@pytest.mark.parametrize("change", ["secret", "consent", "host"])
async def test_i9_what_changes_how_it_is_reached_ends_its_sessions(
    bench: Bench, change: str
) -> None:
    await bench.call(text="x")
    [tool] = bench.world.callables
    changed = a_passing(bench.source, secret="another-secret-of-it")
    assert tool.source is not None
    changes: dict[str, dict[str, Any]] = {
        "secret": {"secrets": changed.secrets},
        "consent": {"source": tool.source.model_copy(update={"allow_private": False})},
        "host": {"granted": Granted(secrets=frozenset({"KEY"}))},
    }
    await bench.narrow(**changes[change])
    await soon(bench.sessions.settled())

    assert len(bench.sessions) == 0
    result = await bench.call(text="x")
    assert result.is_error == (change != "secret")
    assert len(bench.source.calls) == (2 if change == "secret" else 1)


async def test_a_secret_that_is_bound_to_another_host_is_not_sent(bench: Bench) -> None:
    [tool] = bench.world.callables
    held = tool.secrets["KEY"].model_copy(update={"hosts": ("elsewhere.example",)})
    await bench.narrow(secrets={"KEY": held})
    result = await bench.call(text="x")

    assert result.is_error
    assert bench.source.asked == []


async def test_a_source_that_fails_is_left_alone_until_one_call_finds_it_well(
    bench: Bench,
) -> None:
    bench.source.broken = True
    for _ in range(5):
        await bench.call(text="x")
    asked = len(bench.source.asked)
    refused = await bench.call(text="x")

    assert "5 times in a row" in text_of(refused)
    assert "nothing was run" in text_of(refused)
    assert len(bench.source.asked) == asked
    assert bench.passing.open_breakers == 1

    bench.source.broken = False
    bench.clock.now += 16
    assert text_of(await bench.call(text="well")) == "well"
    assert bench.passing.open_breakers == 0


async def test_a_source_that_does_not_answer_is_given_up_and_told(
    world: World, source: Source
) -> None:
    world.callables = [a_passing(source)]
    bench = Bench(world, source, timeout_s=0.5)
    await bench.catalog.reload()
    call, cancelled = await bench.held_call()

    assert "did not answer within 0.5 s" in text_of(await soon(call))
    await soon(cancelled.wait())
    await bench.passing.close()


@pytest.mark.parametrize("lasts", [timedelta(hours=1), timedelta(seconds=5)])
async def test_tokens_that_end_or_are_not_taken_are_renewed_and_the_call_runs_once(
    world: World, source: Source, lasts: timedelta
) -> None:
    old, new = a_token_set("an-old-token", lasts=lasts), a_token_set("a-newer-token")
    secret = old.sealed_form.get_secret_value()
    world.callables = [a_passing(source, secret=secret, authentication=Authentication.OAUTH)]
    world.renewable = [new.sealed_form]
    source.takes = "a-newer-token".__eq__
    bench = Bench(world, source)
    await bench.catalog.reload()

    for _ in range(2):
        assert text_of(await bench.call(text="a-newer-token")) == "[redacted]"
    assert world.renewals == [old.sealed_form]
    assert len(source.calls) == 2
    await bench.passing.close()


async def test_renewed_tokens_end_no_call_that_began_with_the_old_ones(
    world: World, source: Source
) -> None:
    old, new = (a_token_set(token).sealed_form for token in ("an-old-token", "a-newer-token"))
    oauth = Authentication.OAUTH
    tool = a_passing(source, secret=old.get_secret_value(), authentication=oauth)
    world.callables = [tool]
    bench = Bench(world, source)
    await bench.catalog.reload()
    call, cancelled = await bench.held_call()

    held = tool.secrets["KEY"].model_copy(update={"value": new})
    await bench.narrow(secrets={"KEY": held})
    source.answer = echo
    assert text_of(await bench.call(text="with the new")) == "with the new"
    assert not cancelled.is_set()
    assert not call.done()

    await bench.narrow(secrets={})
    assert "no value yet" in text_of(await soon(call))
    await soon(cancelled.wait())
    await bench.passing.close()


async def test_through_the_gateway_progress_goes_on_and_the_listing_is_the_sources(
    world: World, era: str
) -> None:
    async def answer(context: Context, params: CallToolRequestParams) -> CallToolResult:
        await context.session.report_progress(1, 2, "half of it")
        return CallToolResult(content=[TextContent(text="done")])

    told: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    shown = a_tool(title="Say it", output_schema={"type": "object"})
    async with running_source(shown) as source:
        source.answer = answer
        world.callables = [a_passing(source)]
        async with running(Gateway(parts_of(world))) as gateway, gateway.client(era) as client:
            listed = {tool.name: tool for tool in (await client.list_tools()).tools}
            result = await client.session.send_request(
                CallToolRequest(params=CallToolRequestParams(name="shop__echo")),
                CallToolResult,
                progress_callback=hear,
            )

    assert listed["shop__echo"].title == "Say it"
    assert listed["shop__echo"].output_schema == {"type": "object"}
    assert text_of(result) == "done"
    assert told == ["half of it"]
