"""A whole instance below /tmp, driven as a person does: by the command."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import processes
from cli.instance import Instance
from cli.status import overview
from mcpbox.settings import Settings
from tests.instances import free_ports


@dataclass
class Installation:
    data_dir: Path
    env: dict[str, str]

    def run(self, *argv: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603
            self.command(*argv),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603
            self.command(*argv),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "tests.integration.cli.up_with_stand_ins", *argv]

    def up(self) -> str:
        done = self.run("up", "--detach")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.run("status", "--json").stdout)

    def service(self, name: str) -> dict[str, Any]:
        return next(each for each in self.services() if each["name"] == name)

    def services(self) -> list[dict[str, Any]]:
        """As ``status`` shows them, without the price of a command: for waiting in a loop."""
        seen = overview(Instance(Settings(data_dir=self.data_dir)))
        return [status.model_dump(mode="json") for status in seen.services]

    @property
    def supervisor_pid(self) -> int:
        return json.loads((self.data_dir / "state.json").read_text())["supervisor_pid"]

    def leftovers(self) -> list[str]:
        """Living processes that name this data directory in their arguments or environment."""
        needle = os.fsencode(self.data_dir)
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                alive = entry.name.isdigit() and processes.find_process(int(entry.name))
                if needle in text and alive:
                    found.append(text.replace(b"\0", b" ").decode(errors="replace")[:120])
        return found


def eventually(condition: Callable[[], object], *, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)


def installation_in(data_dir: Path) -> Installation:
    ports = free_ports(4)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MCPBOX_")}
    env |= {
        "MCPBOX_DATA_DIR": str(data_dir),
        "MCPBOX_ADMIN_PORT": str(ports[0]),
        "MCPBOX_GATEWAY_PORT": str(ports[1]),
        "MCPBOX_TEMPORAL_PORT": str(ports[2]),
        "MCPBOX_TEMPORAL_UI_PORT": str(ports[3]),
    }
    return Installation(data_dir, env)


@pytest.fixture
def short_dir() -> Generator[Path]:
    """Short, for sockets lie below it; closed to others, as mktemp makes it."""
    directory = Path(tempfile.mkdtemp(prefix="mbt", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def installation(short_dir: Path) -> Generator[Installation]:
    made = installation_in(short_dir / "d")
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def running() -> Generator[Installation]:
    """One that is up, for tests that leave it so."""
    directory = Path(tempfile.mkdtemp(prefix="mbt", dir="/tmp"))
    made = installation_in(directory / "d")
    made.up()
    yield made
    made.run("down")
    shutil.rmtree(directory, ignore_errors=True)
