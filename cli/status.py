"""``mcpbox status`` and ``mcpbox down``: by the file that a running supervisor keeps."""

import os
import signal
import time
from dataclasses import dataclass

from cli.instance import Instance
from cli.output import Exit, echo, echo_error, echo_json
from cli.services import statuses_of
from cli.state import ServiceStatus, running_state
from mcpbox.domain.errors import Refused
from mcpbox.settings import Settings

_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Overview:
    running: bool
    services: list[ServiceStatus]
    urls: dict[str, str | None]


def overview(instance: Instance) -> Overview:
    """Raises: Refused: the instance is another user's."""
    state = running_state(instance.state_file)
    if state is None:
        return Overview(False, statuses_of(instance), instance.urls())
    return Overview(True, state.services, state.urls)


def show_status(settings: Settings, *, as_json: bool) -> Exit:
    """Raises: Refused: the instance is another user's."""
    instance = Instance(settings)
    seen = overview(instance)
    if as_json:
        services = [status.model_dump(mode="json") for status in seen.services]
        echo_json({"services": services, "urls": seen.urls})
        return Exit.OK
    if not seen.running:
        echo_error(f"MCPbox is not running on {instance.data_dir}. Start it with `mcpbox up`.")
        return Exit.UNAVAILABLE
    for status in seen.services:
        pid = f"pid {status.pid}" if status.pid else ""
        restarts = f"restarted {status.restarts}x" if status.restarts else ""
        echo(f"{status.name:<9} {status.state:<10} {pid:<12} {restarts}".rstrip())
    echo()
    for name, url in seen.urls.items():
        if url:
            echo(f"{name:<11} {url}")
    return Exit.OK


def stop(settings: Settings, *, as_json: bool) -> Exit:
    """Raises: Refused: the instance is another user's."""
    instance = Instance(settings)
    state = running_state(instance.state_file)
    if state:
        try:
            os.kill(state.supervisor_pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise Refused(
                f"{instance.data_dir} belongs to another user; act as that user."
            ) from None
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while state and state.supervisor_lives:
        if time.monotonic() > deadline:
            echo_error(
                f"MCPbox (pid {state.supervisor_pid}) did not stop within {_STOP_TIMEOUT_S:.0f} s; "
                f"its log says what it waits for. End it with: kill -9 {state.supervisor_pid}"
            )
            return Exit.UNAVAILABLE
        time.sleep(_POLL_S)
    if as_json:
        echo_json({"stopped": state is not None})
    else:
        echo(f"MCPbox {'stopped' if state else 'was not running'} on {instance.data_dir}.")
    return Exit.OK
