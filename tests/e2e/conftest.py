from collections.abc import AsyncGenerator

import pytest_asyncio

from tests.instances import Installed
from tests.reviewing import Reviewer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def reviewer(instance: Installed) -> AsyncGenerator[Reviewer]:
    async with instance.api() as api:
        yield Reviewer(api)
