"""A second gateway and a second sandbox beside those of a running instance, on its database."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from cli.instance import Instance
from cli.processes import dies_with_parent
from cli.services import bare_environment
from tests.instances import Installed, free_ports
from tests.reviewing import eventually

_STOP_TIMEOUT_S = 20


@dataclass
class Replicas:
    """``installed``: the instance as a client of the second gateway sees it."""

    installed: Installed
    _environments: dict[str, Mapping[str, str]]
    _processes: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, "subprocess.Popen[bytes]"]
    )

    def start(self, name: str) -> None:
        self._processes[name] = subprocess.Popen(  # noqa: S603 - our own process
            [sys.executable, "-P", "-m", "cli.run", name],
            env=dict(self._environments[name]),
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_parent(signal.SIGKILL),
        )

    def kill(self, name: str) -> None:
        """``kill -9``."""
        self._processes[name].kill()
        self._processes[name].wait()

    async def ready(self) -> None:
        """Both: the gateway says whether its sandbox is."""
        health = self.installed.gateway_url.removesuffix("/mcp") + "/health"
        async with httpx.AsyncClient() as http:

            async def well() -> bool:
                try:
                    return (await http.get(health)).json()["status"] == "ok"
                except httpx.TransportError:
                    return False

            await eventually(well)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(_STOP_TIMEOUT_S)


@contextmanager
def replicas_of(instance: Installed) -> Generator[Replicas]:
    """Started; not ready yet."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="mcpbox-second-", dir="/tmp") as directory:
        socket = str(Path(directory) / "sandbox.sock")
        own = instance.process_environment()
        sandbox = {
            **bare_environment(),
            "MCPBOX_SANDBOX_SOCKET": socket,
            "MCPBOX_SANDBOX_API_KEY": own["MCPBOX_SANDBOX_API_KEY"],
            "MCPBOX_SANDBOX_RECEIPT_KEYS": Instance(instance.settings).receipt_key(),
        }
        gateway = {
            **os.environ,
            **instance.env,
            **own,
            "MCPBOX_TEMPORAL_ADDRESS": instance.temporal_address,
            "MCPBOX_SANDBOX_SOCKET": socket,
            "MCPBOX_GATEWAY_PORT": str(port),
        }
        url = f"http://127.0.0.1:{port}/mcp"
        second = Replicas(
            replace(instance, gateway_url=url), {"sandbox": sandbox, "gateway": gateway}
        )
        second.start("sandbox")
        second.start("gateway")
        try:
            yield second
        finally:
            second.stop()
