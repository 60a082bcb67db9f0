from pathlib import Path

import pytest

from cli.configuration import load_settings, sandbox_variables
from mcpbox.domain.errors import Invalid


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_wrong_setting_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPBOX_GATEWAY_PORT", "70000")
    with pytest.raises(Invalid, match=r"^MCPBOX_GATEWAY_PORT: .*65535$"):
        load_settings()


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPBOX_GATEWAY_PORT", "x")
    monkeypatch.setenv("MCPBOX_ADMIN_PORT", "-1")
    with pytest.raises(Invalid) as refused:
        load_settings()
    assert "MCPBOX_GATEWAY_PORT" in str(refused.value)
    assert "MCPBOX_ADMIN_PORT" in str(refused.value)


def test_the_value_of_a_wrong_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCPBOX_ENCRYPTION_KEY", "almost-a-secret")
    with pytest.raises(Invalid) as refused:
        load_settings()
    assert "MCPBOX_ENCRYPTION_KEY" in str(refused.value)
    assert "almost-a-secret" not in str(refused.value)


def test_settings_come_from_a_dotenv_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MCPBOX_ADMIN_PORT=8123\n")
    assert load_settings().admin_port == 8123


def test_the_sandbox_gets_its_own_settings_from_a_dotenv_file_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("MCPBOX_SANDBOX_REQUIRE=seccomp\nMCPBOX_LOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("MCPBOX_SANDBOX_POOL_SIZE", "2")
    assert sandbox_variables() == {
        "MCPBOX_SANDBOX_REQUIRE": "seccomp",
        "MCPBOX_SANDBOX_POOL_SIZE": "2",
    }


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"MCPBOX_LOG_LEVEL=\xff\xfe\n")
    with pytest.raises(Invalid, match=r"\.env"):
        load_settings()
