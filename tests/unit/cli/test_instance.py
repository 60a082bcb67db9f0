import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.instance import Instance
from mcpbox.domain.errors import Invalid, NotFound, Refused
from mcpbox.settings import Settings

SECRETS = ("encryption.key", "postgres.password", "postgres-app.password", "sandbox.key")


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(Settings(data_dir=tmp_path / "data"))
    made.create_directories()
    return made


def test_secrets_are_made_for_their_owner_only_and_then_kept(instance: Instance) -> None:
    instance.create_secrets()
    first = {name: (instance.data_dir / name).read_text() for name in SECRETS}
    instance.create_secrets()

    for name in SECRETS:
        file = instance.data_dir / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(file.read_text()) == 64
        assert file.read_text() == first[name]
    assert len(set(first.values())) == len(SECRETS)


def test_a_key_that_is_set_is_used_and_none_is_made(tmp_path: Path) -> None:
    key = "ab" * 32
    instance = Instance(Settings(data_dir=tmp_path, encryption_key=SecretStr(key)))
    instance.create_secrets()

    assert not (tmp_path / "encryption.key").exists()
    assert instance.environment()["MCPBOX_ENCRYPTION_KEY"] == key


def test_a_lost_key_is_not_silently_replaced(instance: Instance) -> None:
    cluster = instance.postgres_dir / "18"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("18")
    with pytest.raises(Invalid, match=r"encryption\.key is missing"):
        instance.create_secrets()


def test_an_instance_that_never_started_has_no_database(instance: Instance) -> None:
    with pytest.raises(NotFound):
        instance.database_url()


def test_the_external_database_replaces_the_embedded_one(tmp_path: Path) -> None:
    url = SecretStr("postgresql://me:word@db/mcpbox")
    instance = Instance(Settings(data_dir=tmp_path, database_url=url))
    instance.create_secrets()

    assert not instance.embeds_postgres
    assert instance.environment()["MCPBOX_DATABASE_URL"] == url.get_secret_value()
    assert not (tmp_path / "postgres.password").exists()


def test_sockets_of_a_deep_data_directory_get_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    instance = Instance(Settings(data_dir=deep))

    assert len(str(instance.postgres_socket_dir / ".s.PGSQL.5432")) <= 107
    assert len(str(instance.sandbox_socket)) <= 107
    again = Instance(Settings(data_dir=deep))
    assert again.run_dir == instance.run_dir
    other = Instance(Settings(data_dir=deep / "f"))
    assert other.run_dir != instance.run_dir


def test_a_run_directory_prepared_by_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = Instance(Settings(data_dir=tmp_path / "data"))
    trap = tmp_path / "trap"
    trap.symlink_to(tmp_path)
    monkeypatch.setattr(instance, "run_dir", trap)
    with pytest.raises(Refused, match="not ours"):
        instance.create_directories()


def test_a_data_directory_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="MCPBOX_DATA_DIR"):
        Instance(Settings(data_dir=tmp_path / "file" / "data")).create_directories()


def test_addresses_are_complete_and_can_be_opened(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, bind_host="0.0.0.0", gateway_port=1, admin_port=2)  # noqa: S104
    assert Instance(settings).urls() == {
        "gateway": "http://127.0.0.1:1/mcp",
        "panel": "http://127.0.0.1:2/",
        "api": "http://127.0.0.1:2/api/v1",
        "temporal_ui": "http://127.0.0.1:8233",
    }


def test_the_web_ui_of_an_external_temporal_is_not_guessed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, temporal_address="temporal:7233")
    assert Instance(settings).urls()["temporal_ui"] is None
