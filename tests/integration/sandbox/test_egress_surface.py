"""What of httpx works in a tool: every row is a tool, and what it returns."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.integration.sandbox.egress import Egress, egress_through
from tests.integration.sandbox.origin import Origin, serving_origin
from tests.integration.sandbox.pools import bench
from tests.integration.sandbox.surface import WORKS
from tests.integration.sandbox.surface_answers import ANSWERS


@pytest.fixture(scope="module")
async def egress() -> AsyncGenerator[Egress]:
    async with bench() as children, egress_through(children.pool) as egress:
        yield egress


@pytest.fixture(scope="module")
async def origin() -> AsyncGenerator[Origin]:
    async with serving_origin() as origin:
        for path, answer in ANSWERS.items():
            origin.answers[path] = answer
        yield origin


@pytest.mark.parametrize(("body", "expected"), WORKS.values(), ids=WORKS.keys())
async def test_works(egress: Egress, origin: Origin, body: str, expected: Any) -> None:
    lines = "\n    ".join(body.strip().splitlines())
    code = f"import asyncio, httpx\nasync def main(base):\n    {lines}\n"

    result = await egress.run(code, origin.authority, base=origin.url)

    assert result.error is None, result.error
    assert result.result == expected


async def test_connections_are_kept_from_call_to_call(egress: Egress, origin: Origin) -> None:
    code = """
async def main(base):
    return [(await http.get(base)).json()["connection"] for _ in range(3)]
"""
    first = await egress.run(code, origin.authority, base=origin.url)
    second = await egress.run(code, origin.authority, base=origin.url)

    assert len({*first.result, *second.result}) == 1


async def test_a_connection_is_not_shared_with_other_code(egress: Egress, origin: Origin) -> None:
    code = "async def main(base):\n    return (await http.get(base)).json()['connection']  # {}"

    one = await egress.run(code.format(1), origin.authority, base=origin.url)
    other = await egress.run(code.format(2), origin.authority, base=origin.url)

    assert one.result != other.result


async def test_a_response_closed_early_lets_go_of_the_server(
    egress: Egress, origin: Origin
) -> None:
    origin.gone.clear()
    code = """
async def main(url):
    async with http.stream("GET", url) as answer:
        async for part in answer.aiter_raw():
            break
    return (await http.get(url.replace("/endless", "/after"))).status_code
"""

    result = await egress.run(code, origin.authority, url=f"{origin.url}/endless")

    assert result.result == 200
    await origin.gone.wait()


async def test_a_tools_own_timeout_lets_go_of_the_server(egress: Egress, origin: Origin) -> None:
    origin.gone.clear()
    code = """
import asyncio
async def main(url):
    for _ in range(12):  # more than may run at a time
        try:
            async with asyncio.timeout(0.05):
                await http.get(url)
        except TimeoutError:
            pass
    return (await http.get(url.replace("/never", "/after"))).status_code
"""

    result = await egress.run(code, origin.authority, url=f"{origin.url}/never")

    assert result.result == 200
    await origin.gone.wait()
