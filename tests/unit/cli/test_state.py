import os
from pathlib import Path

from cli.processes import find_process
from cli.state import InstanceState, ServiceState, ServiceStatus, running_state, write_state


def a_state(pid: int, started_ticks: int | None) -> InstanceState:
    return InstanceState(
        supervisor_pid=pid,
        supervisor_started_ticks=started_ticks,
        services=[ServiceStatus(name="worker", state=ServiceState.READY, pid=7)],
        urls={"panel": "http://127.0.0.1:8000/"},
    )


def test_a_running_supervisor_is_believed(tmp_path: Path) -> None:
    me = find_process(os.getpid())
    assert me
    state = a_state(me.pid, me.started_ticks)
    write_state(tmp_path / "state.json", state)
    assert running_state(tmp_path / "state.json") == state


def test_another_process_with_the_old_pid_is_not_the_supervisor(tmp_path: Path) -> None:
    me = find_process(os.getpid())
    assert me
    write_state(tmp_path / "state.json", a_state(me.pid, me.started_ticks - 1))
    assert running_state(tmp_path / "state.json") is None


def test_no_file_and_a_torn_file_mean_that_nothing_runs(tmp_path: Path) -> None:
    assert running_state(tmp_path / "state.json") is None
    (tmp_path / "state.json").write_text('{"supervisor_pid": 1')
    assert running_state(tmp_path / "state.json") is None
