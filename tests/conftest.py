"""One real instance for the whole run, and one real browser; tests bring their own names."""

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.chromium import LAUNCH_ARGS, chromium_path
from tests.instances import Installed, started_instance
from tests.package_index import LocalIndex, local_index

SEEN_WITHIN_MS = 15_000
"""Where a test does not say how quick: what is expected is late on a small, busy machine."""
expect.set_options(timeout=SEEN_WITHIN_MS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record", action="store_true", help="Keep the histories that workflow tests make."
    )


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--record"))


@pytest.fixture(scope="session")
def package_index() -> Generator[LocalIndex]:
    """No test asks PyPI or OSV: what an instance is to find is offered here, by any name."""
    with local_index() as offering:
        yield offering


@pytest.fixture(scope="session")
def instance(package_index: LocalIndex) -> Generator[Installed]:
    """``mcpbox up`` on free ports: embedded Postgres and Temporal, sandbox, gateway, panel."""
    with started_instance(**package_index.settings) as running:
        running.lift_rate_limits()
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=chromium_path(), args=LAUNCH_ARGS
        )
        yield launched
        await launched.close()
