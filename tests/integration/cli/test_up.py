"""``mcpbox up`` with real Postgres and Temporal, and stand-ins for what runs above them."""

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import asyncpg
import pytest

from cli.instance import Instance
from cli.services import NAMES
from mcpbox.settings import Settings
from tests.integration.cli.conftest import Installation, eventually, installation_in

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="about what root must not do")


def test_everything_comes_up_and_status_says_so(running: Installation) -> None:
    status = running.status()

    assert [each["name"] for each in status["services"]] == list(NAMES)
    assert {each["state"] for each in status["services"]} == {"ready"}
    assert all(each["pid"] for each in status["services"])
    admin, gateway = (running.env[f"MCPBOX_{name}_PORT"] for name in ("ADMIN", "GATEWAY"))
    assert status["urls"] == {
        "gateway": f"http://127.0.0.1:{gateway}/mcp",
        "panel": f"http://127.0.0.1:{admin}/",
        "api": f"http://127.0.0.1:{admin}/api/v1",
        "temporal_ui": f"http://127.0.0.1:{running.env['MCPBOX_TEMPORAL_UI_PORT']}",
    }


def test_the_parent_of_detach_prints_what_was_made_and_the_log_has_none_of_it(
    installation: Installation,
) -> None:
    output = installation.up()

    assert "made-with-" in output
    assert '--header "Authorization: Bearer token-of-a-client"' in output
    log = (installation.data_dir / "logs" / "mcpbox.log").read_text()
    assert "everything is ready" in log
    assert "made-with-" not in log
    assert "token-of-a-client" not in log


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_comes_back_and_the_others_stay(running: Installation, name: str) -> None:
    before = running.services()
    victim = next(each for each in before if each["name"] == name)
    os.kill(victim["pid"], signal.SIGKILL)

    def is_back() -> bool:
        now = running.service(name)
        return now["state"] == "ready" and now["pid"] != victim["pid"]

    eventually(is_back)
    after = {each["name"]: each for each in running.services()}
    assert after[name]["restarts"] == victim["restarts"] + 1
    for each in before:
        if each["name"] != name:
            assert after[each["name"]]["pid"] == each["pid"]


async def test_a_committed_row_survives_kill_9_of_postgres(running: Installation) -> None:
    instance = Instance(Settings(data_dir=running.data_dir))
    url = instance.owner_database_url().get_secret_value()
    connection = await asyncpg.connect(url, timeout=5)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (row text)")
    await connection.execute("INSERT INTO kept VALUES ('committed')")
    pid = running.service("postgres")["pid"]
    os.kill(pid, signal.SIGKILL)
    connection.terminate()

    def is_back() -> bool:
        now = running.service("postgres")
        return now["state"] == "ready" and now["pid"] != pid

    await asyncio.to_thread(eventually, is_back)
    connection = await asyncpg.connect(url, timeout=5)
    assert await connection.fetchval("SELECT row FROM kept") == "committed"
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW listen_addresses") == ""
    await connection.close()


async def test_postgres_asks_everybody_for_the_password(running: Installation) -> None:
    directory = Instance(Settings(data_dir=running.data_dir)).postgres_socket_dir
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host=str(directory), user="mcpbox", password="guess", database="postgres", timeout=5
        )


def test_a_second_up_on_the_same_data_directory_is_refused(running: Installation) -> None:
    for second in (running.run("up"), running.run("up", "--detach")):
        assert second.returncode == 5
        assert f"runs already on {running.data_dir} (pid {running.supervisor_pid})" in second.stderr
        assert "Traceback" not in second.stderr
    assert {each["state"] for each in running.services()} == {"ready"}


def test_sigterm_stops_everything_and_leaves_no_process(installation: Installation) -> None:
    process = installation.start("up")
    assert process.stdout
    for line in process.stdout:
        if "everything is ready" in line:
            break
    assert len(installation.leftovers()) >= len(NAMES)
    process.terminate()

    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "postgres | ended with code 0" in output
    assert installation.leftovers() == []
    assert {each["state"] for each in installation.services()} == {"stopped"}


def test_kill_9_of_the_supervisor_leaves_no_process_and_up_works_again(
    installation: Installation,
) -> None:
    installation.up()
    os.kill(installation.supervisor_pid, signal.SIGKILL)

    eventually(lambda: not installation.leftovers())
    assert installation.run("status").returncode == 6
    installation.up()
    assert {each["state"] for each in installation.services()} == {"ready"}


def test_up_right_after_kill_9_waits_for_the_leftovers_to_go(installation: Installation) -> None:
    installation.up()
    os.kill(installation.supervisor_pid, signal.SIGKILL)
    installation.up()

    assert {each["state"] for each in installation.services()} == {"ready"}


def test_a_port_in_use_is_named_with_its_setting(installation: Installation) -> None:
    port = installation.env["MCPBOX_GATEWAY_PORT"]
    with socket.create_server(("127.0.0.1", int(port))):
        for refused in (installation.run("up"), installation.run("up", "--detach")):
            assert refused.returncode == 5
            assert f"Port {port}" in refused.stderr
            assert "MCPBOX_GATEWAY_PORT" in refused.stderr
            assert "Traceback" not in refused.stderr
    assert installation.leftovers() == []


def test_a_wrong_setting_is_a_usage_error_without_a_trace(installation: Installation) -> None:
    installation.env["MCPBOX_ENCRYPTION_KEY"] = "almost-a-secret"
    refused = installation.run("up")

    assert refused.returncode == 2
    assert refused.stderr == "MCPBOX_ENCRYPTION_KEY must be 64 hexadecimal digits\n"


def test_down_and_status_of_what_does_not_run(installation: Installation) -> None:
    down = installation.run("down")
    assert down.returncode == 0
    assert "was not running" in down.stdout

    status = installation.run("status")
    assert status.returncode == 6
    assert "not running" in status.stderr
    assert {each["state"] for each in installation.services()} == {"stopped"}


def test_down_stops_what_runs(installation: Installation) -> None:
    installation.up()
    down = installation.run("down")

    assert down.returncode == 0
    assert "stopped" in down.stdout
    assert installation.leftovers() == []


def test_a_database_of_another_major_version_is_not_touched(installation: Installation) -> None:
    other = installation.data_dir / "postgres" / "17"
    other.mkdir(parents=True)
    (other / "PG_VERSION").write_text("17")
    (installation.data_dir / "encryption.key").write_text("ab" * 32)
    refused = installation.run("up", "--detach")

    assert refused.returncode == 5
    assert "another version of PostgreSQL" in refused.stderr
    assert not (installation.data_dir / "postgres" / "18").exists()


@root_only
def test_root_runs_postgres_below_a_closed_directory_without_opening_it(
    installation: Installation,
) -> None:
    parent = installation.data_dir.parent
    assert parent.stat().st_mode & 0o777 == 0o700
    installation.up()

    assert parent.stat().st_mode & 0o777 == 0o700
    assert installation.service("postgres")["state"] == "ready"


@root_only
def test_root_gives_postgres_to_another_user_where_that_one_can_pass(short_dir: Path) -> None:
    short_dir.chmod(0o755)
    installation = installation_in(short_dir / "d")
    try:
        installation.up()
        pid = installation.service("postgres")["pid"]
        assert Path(f"/proc/{pid}").stat().st_uid != 0
    finally:
        installation.run("down")
    # Closed since: the files are that user's, and it is told instead of tried.
    short_dir.chmod(0o700)
    refused = installation.run("up", "--detach")
    assert refused.returncode == 3
    assert str(installation.data_dir) in refused.stderr
    assert "MCPBOX_DATA_DIR" in refused.stderr


def test_sockets_work_in_a_deep_data_directory(short_dir: Path) -> None:
    installation = installation_in(short_dir / ("d" * 60) / ("e" * 60))
    try:
        installation.up()
        assert installation.service("postgres")["state"] == "ready"
    finally:
        installation.run("down")
        shutil.rmtree(Instance(Settings(data_dir=installation.data_dir)).run_dir)
