"""The sandbox process: ``python -m sandbox.app``."""

import asyncio
import gc
import logging
import os
import platform
import resource
import signal
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

import uvicorn
from pydantic import ValidationError
from uvicorn.loops.auto import auto_loop_factory

from sandbox.admission import Admission
from sandbox.child import ChildFailed
from sandbox.contract import Health, RunLimits
from sandbox.doorkeeper import Doorkeeper
from sandbox.launcher import ZygoteFailed
from sandbox.lockdown import cgroups, privileges
from sandbox.lockdown.cgroups import Bounds, Cgroup
from sandbox.metrics import Metrics
from sandbox.module_pools import ModulePools
from sandbox.module_sets.store import ModuleSets
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.probe import Isolation, NotIsolated, measure
from sandbox.receipts import Receipts
from sandbox.runner import Runner
from sandbox.service import Service
from sandbox.settings import Settings

_DRAIN_S = 15
_DESCRIPTORS = 4096
_FORK_SERVERS = 64
_TASKS_OF_A_CALL = 64
"""More than several servers can have that use up all they may."""
_FORK_SERVERS_BYTES = 2**30
_LARGEST_CALL_BYTES = 2**32
"""The most that the contract lets one call ask for."""
_MACHINE_SHARE_PERCENT = 90

log = logging.getLogger("sandbox")


class CannotStart(Exception):
    """Fit for the operator."""


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]  the environment has the rest
    except ValidationError as error:
        sys.exit(f"The sandbox cannot start. {_explained(error)}")
    with suppress(OSError):  # only Linux has it, and the probe says what is missing
        privileges.hide_from_same_user()
    _allow_descriptors()
    # Results of tools are large and short-lived: collecting at each step would hold up other calls.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop, if installed
            runner.run(serve(settings))
    except (CannotStart, NotIsolated, ZygoteFailed, ChildFailed) as error:
        sys.exit(f"The sandbox cannot start: {error}")


def _allow_descriptors() -> None:
    """All connections of callers and of the broker at once are more than is usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; then calls in flight get some seconds to end."""
    metrics = Metrics()
    cgroup = cgroups.attempt(_bounds(settings.max_running, settings.pool_size))
    module_sets = ModuleSets(settings.data_dir)
    modules = ModulePools(
        module_sets,
        max_count=settings.max_module_servers,
        max_running=settings.max_running,
        idle_s=settings.module_idle_s,
        cgroup=cgroup,
        on_start=metrics.started,
    )
    pools = Pools(Pool(size=settings.pool_size, cgroup=cgroup, on_start=metrics.started), modules)
    admission = Admission(
        max_running=settings.max_running,
        max_waiting=settings.max_waiting,
        max_running_per_server=settings.max_running_per_server,
        max_waiting_per_server=settings.max_waiting_per_server,
        on_waited=metrics.waited,
    )
    connections = ConnectionPools()
    try:
        _open(module_sets)
        await pools.start()
        runner = Runner(pools, connections, admission)
        isolation = await measure(runner, pools.base.zygote)
        _log(isolation)
        isolation.require(settings.require)
        service = Service(
            api_key=settings.api_key.get_secret_value(),
            pools=pools,
            admission=admission,
            runner=runner,
            isolation=isolation,
            receipts=Receipts(settings.receipt_keys),
            metrics=metrics,
            module_sets=module_sets,
            private_hosts=settings.private_hosts,
        )
        try:
            await _listen(service, settings)
        finally:
            runner.close()
    finally:
        await pools.stop()
        await module_sets.aclose()
        await connections.aclose()
        if isinstance(cgroup, Cgroup):
            cgroup.remove()


async def probe() -> Health:
    """What the service would say of this machine, measured without serving anybody."""
    cgroup = cgroups.attempt(_bounds(max_running=1, pool_size=1))
    pools = Pools(Pool(size=1, cgroup=cgroup))
    connections = ConnectionPools()
    try:
        await pools.start()
        runner = Runner(pools, connections, Admission())
        isolation = await measure(runner, pools.base.zygote)
        return isolation.health(ready=True, idle=0, running=0, python=platform.python_version())
    finally:
        await pools.stop()
        await connections.aclose()
        if isinstance(cgroup, Cgroup):
            cgroup.remove()


def _open(module_sets: ModuleSets) -> None:
    try:
        module_sets.open()
    except OSError as error:
        raise CannotStart(
            f"MCPBOX_SANDBOX_DATA_DIR cannot be used: {error.filename}: {error.strerror}"
        ) from error


def _bounds(max_running: int, pool_size: int) -> Bounds:
    """Generous: what one call may use is bounded in its process; this bounds them together."""
    calls = max(max_running * RunLimits().memory_bytes, _LARGEST_CALL_BYTES)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory = min(calls + _FORK_SERVERS_BYTES, machine * _MACHINE_SHARE_PERCENT // 100)
    processes = _FORK_SERVERS + _TASKS_OF_A_CALL * (max_running + pool_size)
    return Bounds(memory_bytes=memory, processes=processes)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("ready")


def _log(isolation: Isolation) -> None:
    for layer in isolation.layers:
        state = "active" if layer.active else "inactive"
        log.info("layer %s: %s %s", layer.name, state, layer.detail)
    log.info("isolation level: %s", isolation.level)


async def _listen(service: Service, settings: Settings) -> None:
    config = uvicorn.Config(
        service.asgi(),
        http=Doorkeeper,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=_DRAIN_S,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more when it is done: that must not end us before we are.
        signal.signal(number, _already_stopping)
    if settings.socket is None:
        assert settings.bind is not None
        host, _, port = settings.bind.rpartition(":")
        config.host, config.port = host.strip("[]"), int(port)
        await _Server(config).serve()
        return
    listener = _unix_socket(settings.socket)
    own = settings.socket.stat()
    try:
        await _Server(config).serve(sockets=[listener])
    finally:
        with suppress(FileNotFoundError):
            if os.path.samestat(own, settings.socket.stat()):  # and not that of a successor
                settings.socket.unlink()


def _unix_socket(path: Path) -> socket.socket:
    """For this user alone; a socket that an earlier process left behind is replaced."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise CannotStart(f"{path} exists and is no socket")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        raise CannotStart(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener


def _explained(error: ValidationError) -> str:
    return "; ".join(
        f"{'MCPBOX_SANDBOX_' + str(one['loc'][0]).upper() + ': ' if one['loc'] else ''}{one['msg']}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _already_stopping(_number: int, _frame: object) -> None:
    pass


if __name__ == "__main__":
    main()
