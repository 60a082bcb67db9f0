"""Where a process finds its cgroup: in v2, in v1, in both, and in a container."""

from pathlib import Path

import pytest

from sandbox.lockdown.hierarchies import Hierarchies, find

WANTED = ("memory", "pids")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """In place of /sys/fs/cgroup."""
    top = tmp_path / "cgroup"
    top.mkdir()
    return top


def mount(top: Path, root: str, options: str, *, kind: str = "cgroup", name: str = "") -> str:
    return f"30 29 0:26 {root} {top / name} rw,nosuid - {kind} cgroup {options}"


def found(tmp_path: Path, own: str, *mounts: str) -> Hierarchies | None:
    (tmp_path / "own").write_text(own)
    (tmp_path / "mounts").write_text("\n".join(("22 1 8:1 / / rw - ext4 /dev/x rw", *mounts)))
    return find(WANTED, tmp_path / "own", tmp_path / "mounts")


def cgroup2(directory: Path, controllers: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.controllers").write_text(controllers)
    return directory


def test_v2(tmp_path: Path, top: Path) -> None:
    own = cgroup2(top / "app.slice/sandbox.service", "cpu memory pids")

    where = found(
        tmp_path, "0::/app.slice/sandbox.service\n", mount(top, "/", "rw", kind="cgroup2")
    )

    assert where == Hierarchies((own,), unified=True, top=top)


def test_v1_has_one_for_each_controller(tmp_path: Path, top: Path) -> None:
    (top / "memory/own").mkdir(parents=True)
    (top / "pids").mkdir()

    where = found(
        tmp_path,
        "8:pids:/\n4:memory:/own\n1:name=systemd:/\n",
        mount(top, "/", "rw,memory", name="memory"),
        mount(top, "/", "rw,pids", name="pids"),
    )

    assert where == Hierarchies((top / "memory/own", top / "pids"), unified=False)


def test_both_v1_is_taken_where_v2_lacks_the_controllers(tmp_path: Path, top: Path) -> None:
    cgroup2(top / "unified", "hugetlb")
    (top / "memory").mkdir()
    (top / "pids").mkdir()

    where = found(
        tmp_path,
        "4:memory:/\n3:pids:/\n0::/\n",
        mount(top, "/", "rw", kind="cgroup2", name="unified"),
        mount(top, "/", "rw,memory", name="memory"),
        mount(top, "/", "rw,pids", name="pids"),
    )

    assert where is not None
    assert not where.unified


def test_in_a_container_its_own_cgroup_is_mounted_as_the_top(tmp_path: Path, top: Path) -> None:
    own = cgroup2(top, "memory pids")

    where = found(tmp_path, "0::/docker/abc\n", mount(top, "/docker/abc", "rw", kind="cgroup2"))

    assert where == Hierarchies((own,), unified=True, top=top)


@pytest.mark.parametrize("own", ["0::/../elsewhere\n", "0::/other\n", "", "4:memory:/\n"])
def test_out_of_sight_is_not_there(tmp_path: Path, top: Path, own: str) -> None:
    cgroup2(top, "memory pids")

    assert found(tmp_path, own, mount(top, "/docker/abc", "rw", kind="cgroup2")) is None
