"""What a running instance says about itself: a file that the supervisor keeps up to date."""

import os
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cli import processes
from mcpbox.domain.errors import Refused


class ServiceState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    EXTERNAL = "external"
    """Somebody else runs it; we only know its address."""


class ServiceStatus(BaseModel):
    name: str
    state: ServiceState
    pid: int | None = None
    restarts: int = 0


class InstanceState(BaseModel):
    """Compatibility rule: ``status`` and ``down`` of one version read what ``up`` of it wrote."""

    supervisor_pid: int
    supervisor_started_ticks: int | None
    services: list[ServiceStatus]
    urls: dict[str, str | None]

    @property
    def supervisor_lives(self) -> bool:
        return processes.is_alive(self.supervisor_pid, self.supervisor_started_ticks)


def write_state(file: Path, state: InstanceState) -> None:
    """Readers see the old or the new file, never a part of one."""
    draft = file.with_suffix(".new")
    draft.write_text(state.model_dump_json())
    os.replace(draft, file)


def read_state(file: Path) -> InstanceState | None:
    """The last state written, also by a supervisor that is dead; None when there is none.

    Raises: Refused: the instance is another user's.
    """
    try:
        return InstanceState.model_validate_json(file.read_text())
    except PermissionError:
        raise Refused(f"{file.parent} belongs to another user; act as that user.") from None
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def running_state(file: Path) -> InstanceState | None:
    """The state, when the supervisor that wrote it lives."""
    state = read_state(file)
    return state if state and state.supervisor_lives else None
