import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.integration.sandbox.held import ONE, settings_for
from tests.integration.sandbox.running import RunningService, running
from tests.integration.sandbox.stage import Stage, set_up
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


@pytest.fixture(scope="session")
def narrow_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
async def _narrow(narrow_directory: Path) -> AsyncGenerator[tuple[RunningService, Web]]:
    web = Web()
    async with serving(web):
        settings = settings_for(web, MAX_RUNNING="1", POOL_SIZE="1")
        async with running(narrow_directory, settings) as service:
            yield service, web


@pytest.fixture
async def narrow(_narrow: tuple[RunningService, Web]) -> AsyncGenerator[RunningService]:
    """A service with one place, which is free, and one child; it may reach ``held_web``."""
    service, web = _narrow
    web.arrived.clear()
    web.release.clear()
    await service.run(ONE)
    yield service
    web.release.set()


@pytest.fixture
def held_web(narrow: RunningService, _narrow: tuple[RunningService, Web]) -> Web:
    """Its ``/hold`` tells that a tool runs, and answers when the test releases it."""
    return _narrow[1]


@pytest.fixture(scope="session")
def stage_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


@pytest.fixture(scope="session")
async def stage(stage_directory: Path, web: Web) -> AsyncGenerator[Stage]:
    async with set_up(stage_directory, web) as stage:
        yield stage
