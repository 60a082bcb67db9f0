import json
import socket

from tests.integration.cli.conftest import Installation


def test_doctor_names_every_check_its_state_and_what_to_do(installation: Installation) -> None:
    done = installation.run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}

    assert set(checks) == {
        *("python", "instance", "data", "disk", "postgres", "temporal", "libc", "ports", "clients"),
        *("isolation", "namespaces", "private_root", "landlock", "seccomp", "rlimits", "cgroup"),
    }
    assert {check["state"] for check in checks.values()} <= {"ok", "degraded"}
    assert all(check["todo"] for check in checks.values() if check["state"] != "ok")
    assert checks["clients"]["what"] == "come with tokens that are made here"
    assert done.returncode == 0


def test_doctor_says_how_clients_come_in_and_tells_no_token(installation: Installation) -> None:
    installation.env["MCPBOX_SERVICE_TOKEN"] = "s" * 32
    installation.env["MCPBOX_IDENTITIES"] = "ana@example.org=ana"
    done = installation.run("doctor")

    assert "come through a tunnel" in done.stdout
    assert "s" * 32 not in done.stdout


def test_half_of_a_way_in_is_none(installation: Installation) -> None:
    installation.env["MCPBOX_OIDC_ISSUER"] = "https://id.example.org"
    done = installation.run("doctor")

    assert done.returncode != 0
    assert "MCPBOX_OIDC_AUDIENCE" in done.stderr


def test_doctor_names_the_setting_of_a_port_in_use_and_fails(installation: Installation) -> None:
    port = int(installation.env["MCPBOX_ADMIN_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        done = installation.run("doctor")

    assert done.returncode == 1
    assert f"{port} (the panel and the API) is in use" in done.stdout
    assert "MCPBOX_ADMIN_PORT" in done.stdout


def test_doctor_knows_the_ports_of_a_running_instance_as_ours(running: Installation) -> None:
    done = running.run("doctor")

    assert done.returncode == 0, done.stdout
    assert "are ours" in done.stdout
    assert f"runs, pid {running.supervisor_pid}" in done.stdout
