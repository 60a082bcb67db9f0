"""Which pool of children serves a bundle."""

from sandbox.contract import Bundle
from sandbox.launcher import ModulesFailed
from sandbox.module_pools import ModulePools
from sandbox.module_sets.store import UnknownModuleSet
from sandbox.pool import Pool


class Pools:
    def __init__(self, base: Pool, modules: ModulePools | None = None) -> None:
        self.base = base
        """Its zygote has imported the default modules and no others."""
        self._modules = modules

    @property
    def zygotes(self) -> int:
        return int(self.base.ready) + (self._modules.count if self._modules else 0)

    async def start(self) -> None:
        """Raises: ZygoteFailed, ChildFailed."""
        await self.base.start()

    async def stop(self) -> None:
        if self._modules is not None:
            await self._modules.stop()
        await self.base.stop()

    async def pool_for(self, bundle: Bundle) -> Pool:
        """Raises: Unavailable, Busy; UnknownModuleSet; ModulesFailed."""
        if bundle.module_set is None:
            return self.base
        if self._modules is None:
            raise UnknownModuleSet(bundle.module_set)
        pool = await self._modules.pool_for(bundle.server, bundle.module_set)
        if not _active_layers(self.base) <= _active_layers(pool):
            raise ModulesFailed("This server's modules have fewer layers of isolation than others.")
        return pool


def _active_layers(pool: Pool) -> set[str]:
    return {name for name, done in pool.zygote.started.layers.items() if done.active}
