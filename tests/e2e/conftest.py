from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_asyncio

from tests.e2e.desk import Desk, set_desk
from tests.instances import Installed, started_instance
from tests.package_index import LocalIndex
from tests.reviewing import Reviewer


@pytest.fixture(scope="session")
def crashing(package_index: LocalIndex) -> Generator[Installed]:
    """An instance of its own: nobody else's test should meet a dead process."""
    with started_instance(**package_index.settings) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reviewer(instance: Installed) -> AsyncGenerator[Reviewer]:
    async with instance.api() as api:
        yield Reviewer(api)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(instance: Installed, reviewer: Reviewer) -> Desk:
    return await set_desk(instance, reviewer)
