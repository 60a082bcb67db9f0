from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.instance import Instance
from cli.runner import Launch, Service
from cli.services import (
    NAMES,
    PREPARED,
    databases_of,
    ports_of,
    services_of,
    statuses_of,
)
from cli.state import ServiceState
from mcpbox.settings import Settings

PRIVATE = "only-for-the-person-at-the-shell"


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setenv("SOME_CLOUD_TOKEN", PRIVATE)
    monkeypatch.setenv("MCPBOX_ADMIN_PASSWORD", PRIVATE)
    made = Instance(Settings(data_dir=tmp_path / "data"))
    made.create_directories()
    made.create_secrets()
    return made


async def launch_of(instance: Instance, name: str) -> Launch:
    found: Service = next(each for each in services_of(instance) if each.name == name)
    return await found.launch()


async def test_the_sandbox_is_given_no_key_but_its_own(instance: Instance) -> None:
    launch = await launch_of(instance, "sandbox")

    ours = {name for name in launch.env if name.startswith("MCPBOX_")}
    own = ("SOCKET", "DATA_DIR", "API_KEY", "RECEIPT_KEYS")
    assert ours == {"MCPBOX_LOG_LEVEL", *(f"MCPBOX_SANDBOX_{name}" for name in own)}
    assert launch.env["MCPBOX_SANDBOX_RECEIPT_KEYS"] == instance.receipt_key()
    assert PRIVATE not in launch.env.values()
    assert instance.encryption_key().get_secret_value() not in launch.env.values()
    assert launch.cwd == Path("/"), "a .env where the user stands is out of reach"


async def test_temporal_listens_on_loopback_only_whatever_the_bind_host(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, bind_host="0.0.0.0")  # noqa: S104
    instance = Instance(settings)
    instance.create_directories()
    instance.create_secrets()

    argv = list((await launch_of(instance, "temporal")).argv)

    assert argv[argv.index("--ip") + 1] == "127.0.0.1"
    assert argv[argv.index("--ui-ip") + 1] == "127.0.0.1"
    assert "0.0.0.0" not in argv  # noqa: S104


@pytest.mark.parametrize("name", ["worker", "gateway", "admin"])
async def test_processes_of_ours_know_where_everything_is(instance: Instance, name: str) -> None:
    launch = await launch_of(instance, name)

    assert instance.environment().items() <= launch.env.items()
    assert "MCPBOX_ADMIN_PASSWORD" not in launch.env


async def test_a_ready_file_of_an_earlier_worker_does_not_count(instance: Instance) -> None:
    instance.worker_ready_file.write_text("1")
    await launch_of(instance, "worker")
    assert not instance.worker_ready_file.exists()


def test_what_uses_the_database_starts_after_it_is_prepared(instance: Instance) -> None:
    after = {service.name: service.after for service in services_of(instance)}
    assert after["worker"] == after["gateway"] == after["admin"] == (PREPARED,)
    assert databases_of(instance) == ("postgres", "temporal")


def test_external_parts_are_not_started(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=SecretStr("postgresql://db/x"),
        temporal_address="temporal:7233",
        sandbox_url="http://sandbox:8000",
        sandbox_api_key=SecretStr("k" * 32),
    )
    instance = Instance(settings)
    instance.create_secrets()

    assert [service.name for service in services_of(instance)] == ["worker", "gateway", "admin"]
    assert databases_of(instance) == ()
    states = {status.name: status.state for status in statuses_of(instance)}
    assert tuple(states) == NAMES
    assert [states[name] for name in ("postgres", "temporal", "sandbox")] == [
        ServiceState.EXTERNAL
    ] * 3
    assert states["worker"] is ServiceState.STOPPED
    assert {port.setting for port in ports_of(instance)} == {
        "MCPBOX_GATEWAY_PORT",
        "MCPBOX_ADMIN_PORT",
    }
