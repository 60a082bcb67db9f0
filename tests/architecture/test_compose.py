"""docker-compose.yml, as the real Compose reads it; no engine is needed."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.parts import parts_of
from mcpbox.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = str(Path(sys.executable).with_name("docker-compose"))

SECRETS = {
    *("MCPBOX_ENCRYPTION_KEY", "MCPBOX_SECRETS_KEY", "MCPBOX_TEMPORAL_KEY"),
    *("MCPBOX_SANDBOX_API_KEY", "MCPBOX_ADMIN_PASSWORD"),
    *("POSTGRES_PASSWORD", "MCPBOX_POSTGRES_PASSWORD", "MCPBOX_POSTGRES_APP_PASSWORD"),
    "TEMPORAL_POSTGRES_PASSWORD",
}
JOBS = {"receipt-key", "migrate", "temporal-schema", "temporal-namespace"}
DOORS = {"gateway-door", "admin-door", "temporal-ui-door"}
WRITES_BESIDE_ITS_PROGRAM = {"temporal-ui"}

Service = dict[str, Any]


def compose(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 (our own command)
        [COMPOSE, "--env-file", "/dev/null", "config", "--format", "json"],
        cwd=ROOT,
        env={"HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@cache
def project() -> dict[str, Any]:
    done = compose(**dict.fromkeys(SECRETS, "0" * 64))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def services() -> dict[str, Service]:
    return project()["services"]


def networks_of(name: str) -> set[str]:
    return set(services()[name].get("networks", ()))


def open_networks() -> set[str]:
    return {name for name, network in project()["networks"].items() if not network.get("internal")}


@pytest.mark.parametrize("variable", sorted(SECRETS))
def test_compose_refuses_to_start_without_a_secret(variable: str) -> None:
    done = compose(**dict.fromkeys(SECRETS - {variable}, "0" * 64))

    assert done.returncode != 0
    assert f"{variable} is missing a value" in done.stderr


def test_the_example_names_every_secret_and_gives_none() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    empty = {line.removesuffix("=") for line in lines if re.fullmatch(r"\w+=", line)}

    assert empty >= SECRETS


def test_gateway_and_admin_share_no_network() -> None:
    assert networks_of("gateway").isdisjoint(networks_of("admin"))


def test_only_doors_and_who_reaches_what_was_granted_are_on_a_network_with_a_way_out() -> None:
    outside = {name for name in services() if networks_of(name) & open_networks()}

    assert outside == {*DOORS, "sandbox", "worker", "gateway", "admin"}
    assert {name for name in services() if "gateway_sources" in networks_of(name)} == {"gateway"}
    assert {name for name in services() if "sources" in networks_of(name)} == {"worker", "admin"}


def test_the_sandbox_reaches_only_who_calls_it_and_the_internet() -> None:
    beside = {
        name
        for name in services()
        if name != "sandbox" and networks_of(name) & networks_of("sandbox")
    }

    assert beside == {"worker", "gateway", "admin"}
    assert {name for name in services() if "egress" in networks_of(name)} == {"sandbox"}
    assert {name for name in services() if "packages" in networks_of(name)} == {"worker"}


def test_ports_are_published_on_loopback_by_doors_alone() -> None:
    published = {
        name: service["ports"] for name, service in services().items() if "ports" in service
    }

    assert set(published) == DOORS
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_the_sandbox_is_given_no_secret_but_its_own_key() -> None:
    given = set(services()["sandbox"]["environment"])

    assert {name for name in given if "KEY" in name} == {"MCPBOX_SANDBOX_API_KEY"}
    assert all(name.startswith("MCPBOX_SANDBOX_") for name in given)


def test_the_sandbox_is_given_the_public_half_of_the_key_of_receipts_alone() -> None:
    job, sandbox = services()["receipt-key"], services()["sandbox"]
    [written] = job["volumes"]
    [read] = [one for one in sandbox["volumes"] if one["source"] == written["source"]]

    assert set(job["environment"]) == {"MCPBOX_ENCRYPTION_KEY"}
    assert job["network_mode"] == "none"
    assert not written.get("read_only")
    assert read["read_only"]
    assert f"{written['target']}/public" in " ".join(job["entrypoint"])
    assert f"{read['target']}/public" in (ROOT / "deploy/sandbox.sh").read_text()


def test_the_sandbox_keeps_modules_in_a_volume_of_its_own() -> None:
    directory = services()["sandbox"]["environment"]["MCPBOX_SANDBOX_DATA_DIR"]
    holding = {
        (name, volume["source"])
        for name, service in services().items()
        for volume in service.get("volumes", [])
        if directory.startswith(volume["target"])
    }

    assert holding == {("sandbox", "sandbox")}
    assert services()["sandbox"]["tmpfs"] == ["/tmp"]  # nothing hides the volume


def test_the_key_that_signs_approvals_is_where_it_is_used_and_nowhere_else() -> None:
    holding = {
        name
        for name, service in services().items()
        if "MCPBOX_ENCRYPTION_KEY" in (service.get("environment") or {})
    }

    assert holding == {"worker", "admin", "receipt-key"}


def test_the_gateway_is_given_all_that_it_cannot_start_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in services()["gateway"]["environment"].items():
        monkeypatch.setenv(name, value)

    parts_of(Settings())


def test_every_service_says_when_it_is_healthy_and_waits_for_what_it_needs() -> None:
    for name, service in services().items():
        assert name in JOBS or service["healthcheck"]["test"], name
        for needed, dependency in service.get("depends_on", {}).items():
            finished = "service_completed_successfully"
            wanted = finished if needed in JOBS else "service_healthy"
            assert dependency["condition"] == wanted, f"{name} -> {needed}"


def test_every_service_is_hardened() -> None:
    for name, service in services().items():
        assert not service.get("privileged"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name in WRITES_BESIDE_ITS_PROGRAM, name
        assert service.get("user") != "root", name


@pytest.mark.parametrize(
    "given",
    [
        {"SERVICE_TOKEN": "0" * 64},
        {"OIDC_ISSUER": "https://id.example.org", "OIDC_AUDIENCE": "https://t.example.org/mcp"},
    ],
    ids=["tunnel", "provider"],
)
def test_the_gateway_is_told_how_clients_come_in(given: dict[str, str]) -> None:
    given = {f"MCPBOX_{name}": value for name, value in given.items()}
    given["MCPBOX_IDENTITIES"] = "ana@example.org=ana"
    done = compose(**dict.fromkeys(SECRETS, "0" * 64), **given)

    assert done.returncode == 0, done.stderr
    assert given.items() <= json.loads(done.stdout)["services"]["gateway"]["environment"].items()
