"""Signs of life of an activity that takes long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

_BEAT_S = 3.0


@asynccontextmanager
async def heartbeating() -> AsyncGenerator[None]:
    """So that a worker that died is noticed long before the activity's own time is over."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(_BEAT_S)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
