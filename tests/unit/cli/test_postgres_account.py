import os
import subprocess
from pathlib import Path

import pytest

from cli.postgres_account import Account, choose_account
from mcpbox.domain.errors import Refused


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o700)
    return directory / "postgres"


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def allow_namespaces(monkeypatch: pytest.MonkeyPatch, *, allowed: bool) -> None:
    def run(argv: list[str], **_: object) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.CompletedProcess(argv, 0 if allowed else 1)

    monkeypatch.setattr(subprocess, "run", run)


def test_root_below_a_closed_directory_uses_a_namespace(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    allow_namespaces(monkeypatch, allowed=True)
    account = choose_account(closed)

    assert account.prefix[:2] == ("unshare", "--user")
    assert account.user is None


def test_root_with_neither_way_is_told_the_directory_and_the_setting(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 0)
    allow_namespaces(monkeypatch, allowed=False)
    with pytest.raises(Refused) as refused:
        choose_account(closed)

    assert str(closed) in str(refused.value)
    assert "MCPBOX_DATA_DIR" in str(refused.value)


def test_an_ordinary_user_runs_postgres_as_itself(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 65534)
    assert choose_account(closed) == Account()


def test_a_user_without_a_name_uses_a_namespace(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, 4_000_000)
    allow_namespaces(monkeypatch, allowed=True)
    assert choose_account(closed).prefix[0] == "unshare"


def test_the_database_of_another_user_is_left_alone(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed.mkdir()
    as_user(monkeypatch, closed.stat().st_uid + 1)
    with pytest.raises(Refused, match="another user"):
        choose_account(closed)
