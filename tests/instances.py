"""A running instance of MCPbox, driven from outside as its users do."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from cli.instance import Instance
from mcpbox.settings import Settings

PASSWORD = "correct-horse-battery"
PORT_NAMES = ("GATEWAY_PORT", "ADMIN_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")


@dataclass
class Installed:
    """What a person has after ``mcpbox up``: addresses, a password, the command line."""

    env: dict[str, str]
    gateway_url: str
    panel_url: str
    api_url: str
    temporal_url: str
    temporal_address: str
    admin_password: str = PASSWORD
    _tokens: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "cli.main", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    def client_token(self) -> str:
        """Of one client with both scopes, shared by the whole run."""
        return self.token("author,call")

    def token(self, scopes: str) -> str:
        if scopes not in self._tokens:
            self._tokens[scopes] = self.new_client(scopes)[1]
        return self._tokens[scopes]

    def new_client(self, scopes: str = "author,call") -> tuple[str, str]:
        """Name and token of a client of the test's own."""
        name = f"t{uuid4().hex[:10]}"
        made = self.command("clients", "create", name, "--scopes", scopes, "--json")
        assert made.returncode == 0, made.stderr
        return name, json.loads(made.stdout)["token"]

    def lift_rate_limits(self) -> None:
        """All tests are one client of one person, and quicker than any."""
        limits = ("mcp", "user", "tool")
        lifted = [f"--setting={name}_rate_limit_rpm=1000000" for name in limits]
        done = self.command("policy", "set", *lifted, "--reason", "Tests are one quick client.")
        assert done.returncode == 0, done.stderr

    @property
    def database_url(self) -> str:
        """As the role that owns the tables: the processes have another."""
        return Instance(self.settings).owner_database_url().get_secret_value()

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=Path(self.env["MCPBOX_DATA_DIR"]))

    def process_environment(self) -> dict[str, str]:
        """What ``mcpbox up`` gives its processes: where the parts are, and their keys."""
        return Instance(self.settings).environment()

    def status(self) -> dict[str, dict[str, Any]]:
        """``{service name: {state, pid, restarts}}``."""
        shown = self.command("status", "--json")
        assert shown.returncode == 0, shown.stderr
        return {service["name"]: service for service in json.loads(shown.stdout)["services"]}

    def log(self) -> str:
        return (Path(self.env["MCPBOX_DATA_DIR"]) / "logs" / "mcpbox.log").read_text()

    def kill(self, *names: str) -> None:
        """``kill -9`` of these services' processes; does not wait for their return."""
        running = self.status()
        for name in names:
            os.kill(running[name]["pid"], signal.SIGKILL)

    def wait_until_restarted(self, restarts: dict[str, int]) -> None:
        """``restarts``: how often each had been started again before it was killed."""
        self.wait_until(
            lambda running: all(
                running[name]["restarts"] > before and running[name]["state"] == "ready"
                for name, before in restarts.items()
            )
        )

    def wait_until(
        self, holds: Callable[[dict[str, dict[str, Any]]], bool], *, timeout: float = 80
    ) -> None:
        deadline = time.monotonic() + timeout
        while not holds(running := self.status()):
            assert time.monotonic() < deadline, running
            time.sleep(0.1)

    def api(self) -> httpx.AsyncClient:
        """Signed in as the admin."""
        answer = httpx.post(
            f"{self.api_url}/auth/login",
            json={"username": "admin", "password": self.admin_password},
        )
        token = answer.raise_for_status().json()["access_token"]
        return httpx.AsyncClient(
            base_url=self.api_url, headers={"authorization": f"Bearer {token}"}, timeout=30
        )


@contextmanager
def started_instance(**settings: str) -> Generator[Installed]:
    """``settings``: more variables, without their prefix."""
    data_dir = Path(tempfile.mkdtemp(prefix="mcpbox-", dir="/tmp"))
    ports = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MCPBOX_")},
        **{f"MCPBOX_{name}": str(port) for name, port in ports.items()},
        **{f"MCPBOX_{name.upper()}": value for name, value in settings.items()},
        "MCPBOX_DATA_DIR": str(data_dir / "data"),
        "MCPBOX_ADMIN_PASSWORD": PASSWORD,
    }
    running = Installed(
        env=env,
        gateway_url=f"http://127.0.0.1:{ports['GATEWAY_PORT']}/mcp",
        panel_url=f"http://127.0.0.1:{ports['ADMIN_PORT']}",
        api_url=f"http://127.0.0.1:{ports['ADMIN_PORT']}/api/v1",
        temporal_url=f"http://127.0.0.1:{ports['TEMPORAL_UI_PORT']}",
        temporal_address=f"127.0.0.1:{ports['TEMPORAL_PORT']}",
    )
    try:
        up = running.command("up", "--detach", timeout=120)
        assert up.returncode == 0, up.stdout + up.stderr
        yield running
    finally:
        running.command("down")
        shutil.rmtree(data_dir, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Free a moment ago, and not among those the kernel lends to outgoing connections."""
    found: list[int] = []
    for port in random.sample(range(10_000, 32_000), 1_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} free ports")
