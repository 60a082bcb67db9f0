"""Which pool of children serves a bundle."""

from sandbox.contract import Bundle
from sandbox.pool import Pool


class Pools:
    def __init__(self, base: Pool) -> None:
        self.base = base
        """Its zygote has imported the default modules and no others."""

    async def start(self) -> None:
        """Raises: ZygoteFailed, ChildFailed."""
        await self.base.start()

    async def stop(self) -> None:
        await self.base.stop()

    async def pool_for(self, bundle: Bundle) -> Pool:
        """Raises: Unavailable."""
        del bundle
        return self.base
