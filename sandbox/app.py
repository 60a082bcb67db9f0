"""The sandbox process: ``python -m sandbox.app``."""

import asyncio
import logging
import os
import platform
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
from sandbox.contract import Health
from sandbox.launcher import ZygoteFailed
from sandbox.lockdown import privileges
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.probe import Isolation, NotIsolated, measure
from sandbox.runner import Runner
from sandbox.service import Service
from sandbox.settings import Settings

_DRAIN_S = 15

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
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop, if installed
            runner.run(serve(settings))
    except (CannotStart, NotIsolated, ZygoteFailed, ChildFailed) as error:
        sys.exit(f"The sandbox cannot start: {error}")


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT; then calls in flight get some seconds to end."""
    pools = Pools(Pool(size=settings.pool_size))
    admission = Admission(max_running=settings.max_running, max_waiting=settings.max_waiting)
    connections = ConnectionPools()
    try:
        await pools.start()
        runner = Runner(pools, connections, admission)
        isolation = await measure(runner, pools.base.zygote.started)
        _log(isolation)
        isolation.require(settings.require)
        service = Service(
            api_key=settings.api_key.get_secret_value(),
            pools=pools,
            admission=admission,
            runner=runner,
            isolation=isolation,
            private_hosts=settings.private_hosts,
        )
        await _listen(service, settings)
    finally:
        await pools.stop()
        await connections.aclose()


async def probe() -> Health:
    """What the service would say of this machine, measured without serving anybody."""
    pools = Pools(Pool(size=1))
    connections = ConnectionPools()
    try:
        await pools.start()
        runner = Runner(pools, connections, Admission())
        isolation = await measure(runner, pools.base.zygote.started)
        return isolation.health(ready=True, idle=0, running=0, python=platform.python_version())
    finally:
        await pools.stop()
        await connections.aclose()


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
