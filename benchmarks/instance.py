"""An instance of MCPbox for the benchmarks alone: empty, on free ports, gone afterwards."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from benchmarks.processes import members, resident_bytes
from benchmarks.samples import BenchmarkFailed
from cli.instance import Instance
from cli.state import InstanceState, running_state
from mcpbox.receipts import ReceiptSigner
from mcpbox.settings import Settings

PASSWORD = "only-for-benchmarks"
_PORTS = ("GATEWAY_PORT", "ADMIN_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")
_COMMAND_TIMEOUT_S = 120
_MIB = 2**20


@dataclass(frozen=True)
class Installation:
    """An instance that may run or not; ``directory`` is ours and holds all of it."""

    directory: Path
    ports: dict[str, int]

    def up(self) -> float:
        """Seconds until ``mcpbox up --detach`` returned."""
        began = time.perf_counter()
        self.command("up", "--detach")
        return time.perf_counter() - began

    def down(self) -> None:
        self.command("down")

    def new_client(self) -> str:
        """The token of a client that may write and call tools, as quickly as it can."""
        limits = ("mcp", "user", "tool")
        lifted = [f"--setting={name}_rate_limit_rpm=1000000" for name in limits]
        self.command("policy", "set", *lifted, "--reason", "What is measured is not the limit.")
        made = self.command("clients", "create", "bench", "--scopes", "author,call", "--json")
        return json.loads(made)["token"]

    def command(self, *arguments: str) -> str:
        """What it printed. Raises: BenchmarkFailed."""
        ended = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "cli.main", *arguments],
            env=self._environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
        if ended.returncode:
            raise BenchmarkFailed(
                f"`mcpbox {' '.join(arguments)}` failed:\n{ended.stdout}{ended.stderr}"
            )
        return ended.stdout

    def resident_mib(self) -> dict[str, float]:
        """``{service: MiB}``, with the supervisor as one."""
        everybody = members(self._state.supervisor_pid)
        memory: dict[str, float] = {}
        for name, pid in self.pids().items():
            own = members(pid)
            everybody -= own
            memory[name] = round(resident_bytes(own) / _MIB, 1)
        memory["supervisor"] = round(resident_bytes(everybody) / _MIB, 1)
        return memory

    def pids(self) -> dict[str, int]:
        """``{service: pid}``."""
        return {each.name: each.pid for each in self._state.services if each.pid}

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['GATEWAY_PORT']}/mcp"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['ADMIN_PORT']}/api/v1"

    @property
    def sandbox_socket(self) -> Path:
        return self._instance.sandbox_socket

    @property
    def sandbox_api_key(self) -> str:
        return self._instance.sandbox_api_key().get_secret_value()

    @property
    def database_url(self) -> str:
        return self._instance.database_url().get_secret_value()

    @property
    def temporal_target(self) -> str:
        return f"127.0.0.1:{self.ports['TEMPORAL_PORT']}"

    @property
    def temporal_keys(self) -> tuple[SecretStr, ...]:
        return self._instance.temporal_keys()

    @property
    def receipt_signer(self) -> ReceiptSigner:
        return ReceiptSigner(self._instance.encryption_key())

    @property
    def _state(self) -> InstanceState:
        state = running_state(self._instance.state_file)
        if state is None:
            raise BenchmarkFailed(f"The instance ended; see {self._instance.log_file}.")
        return state

    @property
    def _instance(self) -> Instance:
        # Nothing but what is given here: not the settings of the person who runs this.
        settings = Settings.model_construct(
            data_dir=self._data_dir, sandbox_api_key=None, sandbox_url=None
        )
        return Instance(settings)

    @property
    def _data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def _environment(self) -> dict[str, str]:
        """Nobody's settings but ours; their ``.env`` is not where we run either."""
        others = {name: text for name, text in os.environ.items() if not _is_setting(name)}
        ports = {f"MCPBOX_{name}": str(port) for name, port in self.ports.items()}
        return {
            **others,
            **ports,
            "MCPBOX_DATA_DIR": str(self._data_dir),
            "MCPBOX_ADMIN_PASSWORD": PASSWORD,
        }


@contextmanager
def installation_in(directory: Path) -> Generator[Installation]:
    """Not up yet; in the end it is down, whatever happened."""
    directory.mkdir()
    installation = Installation(directory, dict(zip(_PORTS, _free_ports(), strict=True)))
    try:
        yield installation
    finally:
        installation.down()


def _free_ports() -> list[int]:
    """Free a moment ago; taken together, so that they differ."""
    sockets = [socket.socket() for _ in _PORTS]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _is_setting(name: str) -> bool:
    return name.startswith("MCPBOX_")
