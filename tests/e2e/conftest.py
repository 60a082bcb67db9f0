from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.e2e.desk import Desk, set_desk
from tests.instances import Installed
from tests.reviewing import Reviewer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reviewer(instance: Installed) -> AsyncGenerator[Reviewer]:
    async with instance.api() as api:
        yield Reviewer(api)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desk(instance: Installed, reviewer: Reviewer) -> Desk:
    return await set_desk(instance, reviewer)
