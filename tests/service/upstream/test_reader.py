"""What a source offers, read from real servers, and from whatever else answers on a port."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mcp_types import Tool, ToolAnnotations
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.external_sources import TOOLS_MAX, Listing
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.upstream.reader import Reader
from mcpbox.upstream.transport import STREAM_MAX_BYTES
from tests.mcp_sources import Source, a_tool, running_source, served

SECRET = SecretStr("correct-horse-battery")


async def read(
    url: str, reader: Reader | None = None, secret: SecretStr | None = None, **endpoint: Any
) -> Listing:
    return await (reader or Reader()).list_tools(
        HttpEndpoint(url=url, **endpoint), secret, allow_private=True
    )


async def failure_of(answer: Any, *, reader: Reader | None = None) -> str:
    """What is told where a server answers everything so."""

    async def respond(request: Request) -> Response:
        return await answer(request)

    app = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST", "DELETE"])])
    async with served(app) as address:
        with pytest.raises(SourceFailed) as caught:
            await read(f"{address}/mcp", reader)
    return str(caught.value)


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_all_pages_are_read_in_both_eras_of_the_protocol(era: str) -> None:
    told = a_tool(
        "zoo",
        title="The zoo",
        output_schema={"type": "object"},
        annotations=ToolAnnotations(read_only_hint=True),
    )
    async with running_source(told, *(a_tool(f"t{n}") for n in range(4)), era=era, page_size=2) as (
        source
    ):
        listing = await read(source.url)

    assert [tool.name for tool in listing.tools] == ["t0", "t1", "t2", "t3", "zoo"]
    assert listing.protocol == ("2025-11-25" if era == "legacy" else era)
    assert (listing.server_name, listing.server_version) == ("shop", "7")
    zoo = listing.tools[-1]
    assert (zoo.title, zoo.description) == ("The zoo", "Says zoo.")
    assert zoo.annotations == {"readOnlyHint": True}
    assert zoo.output_schema == {"type": "object"}


@pytest.mark.parametrize(
    ("how", "header", "sent"),
    [
        ({"authentication": Authentication.BEARER}, "authorization", "Bearer {}"),
        ({"authentication": Authentication.HEADER, "header_name": "X-Key"}, "x-key", "{}"),
    ],
)
async def test_the_secret_is_sent_with_every_message_in_its_header(
    how: dict[str, Any], header: str, sent: str
) -> None:
    async with running_source() as source:
        await read(source.url, secret=SECRET, secret_name="KEY", **how)

    values = source.asked_with(header)
    assert values
    assert set(values) == {sent.format(SECRET.get_secret_value())}


async def test_a_source_that_takes_no_proof_is_said_to_take_none() -> None:
    async with running_source() as source:
        source.token = "another"
        with pytest.raises(SourceFailed, match="does not take what proves who asks"):
            await read(
                source.url, secret=SECRET, secret_name="KEY", authentication=Authentication.BEARER
            )


async def test_a_private_address_is_reached_by_consent_alone() -> None:
    async with running_source() as source:
        for url in (source.url, source.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(SourceFailed, match="not public"):
                await Reader().list_tools(HttpEndpoint(url=url), None, allow_private=False)
    assert source.asked == []


async def test_nothing_follows_a_redirect_elsewhere_and_the_secret_stays() -> None:
    visits: list[Request] = []

    async def visited(request: Request) -> Response:
        visits.append(request)
        return Response()

    elsewhere = Starlette(routes=[Route("/{path:path}", visited, methods=["GET", "POST"])])
    async with served(elsewhere) as other:

        async def redirect(_: Request) -> Response:
            return RedirectResponse(f"{other}/mcp", 307)

        assert "another address" in await failure_of(redirect)
    assert visits == []


async def test_a_redirect_out_of_the_granted_path_is_not_followed() -> None:
    async def redirect(request: Request) -> Response:
        assert request.url.path == "/mcp"
        return RedirectResponse("/mcp/../admin", 308)

    assert "another address" in await failure_of(redirect)


async def test_a_redirect_to_the_same_path_with_a_slash_is_followed() -> None:
    source = Source().app

    async def slashed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/mcp":
            await RedirectResponse("/mcp/", 307)(scope, receive, send)
        else:
            await source(scope, receive, send)

    async with served(slashed) as address:
        listing = await read(f"{address}/mcp")
    assert [tool.name for tool in listing.tools] == ["echo"]


async def test_a_server_that_hangs_is_given_up() -> None:
    async def hang(_: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert "in time" in await failure_of(hang, reader=Reader(timeout_s=0.3))


async def garbage(_: Request) -> Response:
    return Response("<html>correct-horse</html>", media_type="text/html")


async def half_a_message(_: Request) -> Response:
    return Response('{"jsonrpc": "2.0", "id"', media_type="application/json")


async def broken_events(_: Request) -> Response:
    return Response("data: correct-horse\n\n", media_type="text/event-stream")


async def an_error(_: Request) -> Response:
    return Response("correct-horse", 500)


async def packed(_: Request) -> Response:
    return Response(b"...", headers={"content-encoding": "gzip"}, media_type="application/json")


async def no_name(request: Request) -> Response:
    message_id = json.loads(await request.body())["id"]
    result = {"protocolVersion": "2025-11-25", "tools": [{"no": "name"}]}
    return JSONResponse({"jsonrpc": "2.0", "id": message_id, "result": result})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (garbage, "as the protocol says"),
        (half_a_message, "as the protocol says"),
        (broken_events, "as the protocol says"),
        (an_error, "HTTP status 500"),
        (packed, "packs its answers"),
        (no_name, "as the protocol says"),
    ],
)
async def test_what_is_told_of_garbage_is_never_its_own_words(answer: Any, told: str) -> None:
    failure = await failure_of(answer)

    assert told in failure
    assert "correct-horse" not in failure


@pytest.mark.parametrize("media_type", ["application/json", "text/event-stream"])
async def test_an_answer_that_is_too_long_is_given_up(media_type: str) -> None:
    async def endless(_: Request) -> Response:
        async def parts() -> AsyncGenerator[bytes]:
            for _ in range(STREAM_MAX_BYTES // 2**20 + 2):
                await asyncio.sleep(0)
                yield b"data: " + b"x" * 2**20
                await asyncio.sleep(0)  # what it writes to nobody never waits

        return StreamingResponse(parts(), media_type=media_type)

    failure = await failure_of(endless)

    assert "more than" in failure or "before it was whole" in failure


async def test_a_list_without_an_end_is_given_up() -> None:
    async def listing(request: Request) -> Response:
        message = json.loads(await request.body())
        result: dict[str, Any] = {
            "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}},
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
        }
        if message["method"] == "tools/list":
            result |= {"tools": [], "nextCursor": "more"}
        return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": result})

    assert "no end" in await failure_of(listing)


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        ([a_tool("same"), a_tool("same")], "two tools of one name"),
        ([a_tool(f"t{n}") for n in range(TOOLS_MAX + 1)], f"{TOOLS_MAX} tools"),
        ([a_tool(f"t{n}", description="x" * 2**20) for n in range(5)], "4 MiB"),
        ([a_tool(description="a\0b")], "NUL"),
    ],
)
async def test_a_list_that_cannot_be_kept_is_refused_whole(tools: list[Tool], told: str) -> None:
    async with running_source(*tools, page_size=2 if "MiB" in told else 1000) as source:
        with pytest.raises(SourceFailed, match=told):
            await read(source.url)


async def test_a_secret_that_no_header_takes_is_never_sent() -> None:
    async with running_source() as source:
        with pytest.raises(SourceFailed, match="set it again"):
            await read(
                source.url,
                secret=SecretStr("one\r\nx-admin: yes"),
                secret_name="KEY",
                authentication=Authentication.BEARER,
            )
    assert source.asked == []
