"""Where v2 lets a service make a cgroup, on a stand-in for its files."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from sandbox.lockdown import cgroups, hierarchies
from sandbox.lockdown.cgroups import Bounds, NoCgroup
from sandbox.lockdown.hierarchies import Hierarchies

BOUNDS = Bounds(memory_bytes=2**30, processes=10)


def a_cgroup(directory: Path, *, passed_on: str, kind: str = "domain") -> Path:
    directory.mkdir(parents=True)
    (directory / "cgroup.type").write_text(f"{kind}\n")
    (directory / "cgroup.subtree_control").write_text(passed_on)
    return directory


def finds(monkeypatch: pytest.MonkeyPatch, where: Hierarchies | None) -> None:
    def find(_: Iterable[str]) -> Hierarchies | None:
        return where

    monkeypatch.setattr(hierarchies, "find", find)


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the service stands, below the top; on a machine without systemd."""
    own = tmp_path / "unit" / "own"
    where = Hierarchies((own,), unified=True, top=tmp_path)
    finds(monkeypatch, where)
    monkeypatch.setattr(cgroups, "_SYSTEMD", tmp_path / "no-systemd")
    return own


def test_beside_the_service_where_the_cgroup_above_passes_controllers_on(stand: Path) -> None:
    a_cgroup(stand.parent, passed_on="cpu memory pids")
    a_cgroup(stand, passed_on="")

    made = cgroups.make(BOUNDS)

    (directory,) = stand.parent.glob("mcpbox-sandbox-*")
    assert made.version == 2
    assert (directory / "memory.max").read_text() == str(BOUNDS.memory_bytes)
    assert (directory / "pids.max").read_text() == str(BOUNDS.processes)
    assert not list(stand.glob("mcpbox-sandbox-*"))


def test_not_in_a_threaded_one(stand: Path) -> None:
    a_cgroup(stand.parent, passed_on="memory pids", kind="domain threaded")
    a_cgroup(stand, passed_on="memory pids", kind="threaded")

    with pytest.raises(NoCgroup, match=str(stand)):
        cgroups.make(BOUNDS)


def test_root_takes_nothing_that_systemd_did_not_give_away(
    stand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_cgroup(stand.parent, passed_on="memory pids")
    a_cgroup(stand, passed_on="memory pids")
    monkeypatch.setattr(cgroups, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(cgroups.os, "getuid", lambda: 0)

    refused = cgroups.attempt(BOUNDS)

    assert isinstance(refused, NoCgroup)
    assert "Permission denied" in str(refused)


def test_no_hierarchy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, None)

    assert "mounts no cgroup" in str(cgroups.attempt(BOUNDS))
