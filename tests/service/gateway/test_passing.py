"""Calls of approved tools of other servers: passed on once, answered as they answered."""

from uuid import uuid4

from mcp_types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ImageContent,
    ResourceLink,
    TextContent,
)

from gateway.app import Gateway
from gateway.calls import META_KEY
from mcpbox.domain.calls import SourceAccess
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.ids import SourceId
from mcpbox.domain.manifests import Granted
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.upstreams import StdioEndpoint, Upstream
from sandbox.contract import RunResult, StdioServer
from tests.mcp_sources import Context, Source, a_tool, running_source
from tests.service.gateway.factories import a_callable, a_passing, a_version, soon
from tests.service.gateway.running import running, text_of
from tests.service.gateway.shop import SECRET, Shop
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World


async def test_a_call_is_answered_by_the_source_and_by_no_sandbox(shop: Shop) -> None:
    result = await shop.call(text="hello")
    execution = await shop.logged()

    assert text_of(result) == "hello"
    assert not result.is_error
    assert result.meta is not None
    assert result.meta[META_KEY]["id"] == str(execution.id)
    assert execution.outcome is ExecutionOutcome.OK
    assert "hello" in execution.result
    assert shop.world.sandbox.runs == []
    [call] = shop.source.calls
    assert (call.name, call.arguments) == ("echo", {"text": "hello"})


async def test_every_kind_of_content_comes_back_as_it_was_sent(shop: Shop) -> None:
    content = [
        TextContent(text="one"),
        ImageContent(data="aGk=", mime_type="image/png"),
        ResourceLink(name="more", uri="https://shop.example/more"),
    ]

    async def answer(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(
            content=list(content), structured_content={"n": 1}, _meta={"of": "the source"}
        )

    shop.source.answer = answer
    result = await shop.call()

    assert result.content == content
    assert result.structured_content == {"n": 1}
    assert list(result.meta or {}) == [META_KEY]


async def test_an_error_of_the_tool_is_passed_on_as_one(shop: Shop) -> None:
    async def answer(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="sold out")], is_error=True)

    shop.source.answer = answer
    result = await shop.call()
    execution = await shop.logged()

    assert (text_of(result), result.is_error) == ("sold out", True)
    assert (execution.outcome, execution.error) == (ExecutionOutcome.ERROR, "sold out")


async def test_nothing_of_the_caller_is_sent_but_the_arguments(shop: Shop) -> None:
    await shop.call(text="x")

    [call] = shop.source.calls
    assert {name.partition("/")[0] for name in call.meta or {}} <= {"io.modelcontextprotocol"}
    assert set(shop.source.asked_with("authorization")) == {f"Bearer {SECRET}"}
    for header in ("x-mcpbox-user-email", "cookie", "traceparent", "forwarded"):
        assert set(shop.source.asked_with(header)) == {None}


async def test_i6_a_source_that_echoes_its_secret_is_cut_short_everywhere(shop: Shop) -> None:
    result = await shop.call(text=f"I am {SECRET}")
    execution = await shop.logged()

    assert text_of(result) == "I am [redacted]"
    assert SECRET not in execution.result


async def test_a_call_that_may_have_arrived_is_never_sent_again(shop: Shop) -> None:
    await shop.call(text="one")
    shop.source.broken = True
    result = await shop.call(text="two")

    assert result.is_error
    assert "may have done what was asked" in text_of(result)
    assert "correct-horse" not in text_of(result)
    assert shop.source.broken_off == 1
    assert (await shop.logged()).outcome is ExecutionOutcome.UNAVAILABLE


async def test_i9_stopping_the_server_ends_the_call_there_too(shop: Shop) -> None:
    call, cancelled = await shop.held_call()
    await shop.narrow(server_state=DesiredState.STOPPED)
    result = await soon(call)

    assert "is stopped" in text_of(result)
    await soon(cancelled.wait())


async def test_a_secret_that_is_bound_to_another_host_is_not_sent(shop: Shop) -> None:
    [tool] = shop.world.callables
    held = tool.secrets["KEY"].model_copy(update={"hosts": ("elsewhere.example",)})
    await shop.narrow(secrets={"KEY": held})
    result = await shop.call(text="x")

    assert result.is_error
    assert shop.source.asked == []


async def test_a_source_that_fails_is_left_alone_until_one_call_finds_it_well(
    shop: Shop,
) -> None:
    shop.source.broken = True
    for _ in range(5):
        await shop.call(text="x")
    asked = len(shop.source.asked)
    refused = await shop.call(text="x")

    assert "5 times in a row" in text_of(refused)
    assert "nothing was run" in text_of(refused)
    assert len(shop.source.asked) == asked
    assert shop.passing.open_breakers == 1

    shop.source.broken = False
    shop.clock.now += 16
    assert text_of(await shop.call(text="well")) == "well"
    assert shop.passing.open_breakers == 0


async def test_a_source_that_does_not_answer_is_given_up_and_told(
    world: World, source: Source
) -> None:
    world.callables = [a_passing(source)]
    shop = Shop(world, source, timeout_s=0.5)
    await shop.catalog.reload()
    call, cancelled = await shop.held_call()

    assert "did not answer within 0.5 s" in text_of(await soon(call))
    await soon(cancelled.wait())
    await shop.passing.close()


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


async def test_what_a_server_over_stdio_answered_in_the_sandbox_is_passed_on(
    world: World, source: Source
) -> None:
    endpoint = StdioEndpoint(module="clock")
    version = a_version(
        name="echo",
        code="",
        manifest=endpoint.manifest,
        passes_to=Upstream(endpoint=endpoint, tool="Add"),
    )
    access = SourceAccess(source_id=SourceId(uuid4()), allow_private=False)
    granted = Granted(modules=frozenset({"clock"}))
    world.callables = [a_callable(version, server="shop", source=access, granted=granted)]
    world.sandbox.result = RunResult(
        ok=True,
        result={"content": [{"type": "text", "text": "three"}], "structuredContent": {"sum": 3}},
    )
    shop = Shop(world, source)
    await shop.catalog.reload()
    result = await shop.call(a=1)

    assert (text_of(result), result.structured_content) == ("three", {"sum": 3})
    [(bundle, _)] = world.sandbox.runs
    assert bundle.stdio == StdioServer(module="clock", tool="Add")
