import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.integration.sandbox.running import RunningService, running
from tests.integration.sandbox.web import Web, serving


@pytest.fixture(scope="session")
def run_directory() -> Generator[Path]:
    """Short, as the path of a unix socket must be."""
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
async def web() -> AsyncGenerator[Web]:
    async with serving(Web()) as web:
        yield web


@pytest.fixture(scope="session")
async def canary() -> AsyncGenerator[Web]:
    """No tool may ever reach it."""
    async with serving(Web("reached-the-canary")) as canary:
        yield canary


@pytest.fixture(scope="session")
async def service(run_directory: Path, web: Web) -> AsyncGenerator[RunningService]:
    """May reach ``web`` by the name localhost, once that is granted."""
    async with running(run_directory, {"PRIVATE_HOSTS": f"localhost:{web.port}"}) as service:
        yield service
