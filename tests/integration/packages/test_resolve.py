"""Requirements become pinned wheels, by pip's own resolver and a real index on loopback."""

import asyncio
import hashlib
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from mcpbox.domain.errors import DomainError, Invalid, Refused, Unavailable
from mcpbox.domain.modules import WHEELS_MAX, WHEELS_MAX_BYTES, Requirement
from mcpbox.packages.index import PackageIndex
from sandbox.contract import ModuleSet, Wheel
from tests.package_archives import a_wheel, an_sdist, wheel_name
from tests.package_index import LocalIndex

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def asked(package: str, specifier: str = "") -> Requirement:
    return Requirement(module="any_module", package=package, specifier=specifier)


async def refused(index: PackageIndex, *requirements: Requirement) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await index.resolve(requirements)
    return caught.value


@pytest.mark.parametrize("pages", ["json", "html"])
async def test_a_requirement_becomes_all_the_wheels_it_needs(
    offered: LocalIndex, index: PackageIndex, pages: str
) -> None:
    offered.pages = pages
    alpha = offered.add("alpha", requires=["beta>=1"])
    offered.add("beta", "1.0")
    beta = offered.add("beta", "2.0")

    lock = await index.resolve([asked("alpha")])

    assert [(wheel.package, wheel.version) for wheel in lock.wheels] == [
        ("alpha", "1.0"),
        ("beta", "2.0"),
    ]
    assert [wheel.sha256 for wheel in lock.wheels] == [
        hashlib.sha256(file.content).hexdigest() for file in (alpha, beta)
    ]
    assert [wheel.size for wheel in lock.wheels] == [len(alpha.content), len(beta.content)]
    assert lock.python == PYTHON
    assert lock.requirements == (asked("alpha"),)


async def test_a_set_has_the_key_that_the_sandbox_gives_it(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", requires=["beta"])
    offered.add("beta")

    lock = await index.resolve([asked("alpha")])

    wheels = tuple(
        Wheel(filename=wheel.filename, sha256=wheel.sha256, size=wheel.size)
        for wheel in lock.wheels
    )
    assert lock.digest == ModuleSet(wheels=wheels).key


async def test_requirements_are_resolved_together(offered: LocalIndex, index: PackageIndex) -> None:
    offered.add("alpha", requires=["shared<2"])
    offered.add("gamma", requires=["shared"])
    offered.add("shared", "1.0")
    offered.add("shared", "2.0")

    lock = await index.resolve([asked("gamma"), asked("alpha")])

    assert {wheel.package: wheel.version for wheel in lock.wheels}["shared"] == "1.0"


async def test_a_specifier_is_kept_to(offered: LocalIndex, index: PackageIndex) -> None:
    offered.add("alpha", "1.0")
    offered.add("alpha", "2.0")

    lock = await index.resolve([asked("alpha", "<2")])

    assert [wheel.version for wheel in lock.wheels] == ["1.0"]


async def test_an_unknown_package_is_said_to_be_unknown(
    offered: LocalIndex, index: PackageIndex
) -> None:
    error = await refused(index, asked("alpha-typo"))

    assert isinstance(error, Invalid)
    assert str(error) == "The package index has no package 'alpha-typo'; check its name."


async def test_an_unknown_dependency_is_named_with_who_needs_it(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", requires=["missing"])

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Invalid)
    assert "no package 'missing'" in str(error)
    assert "needed by alpha" in str(error)


async def test_a_version_that_does_not_exist_is_answered_with_those_that_do(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", "1.0")
    offered.add("alpha", "2.0")

    error = await refused(index, asked("alpha", ">=3"))

    assert isinstance(error, Invalid)
    assert str(error) == "No version of alpha fits >=3; the newest are: 2.0, 1.0."


async def test_a_source_package_alone_is_refused(offered: LocalIndex, index: PackageIndex) -> None:
    offered.offer("alpha", "alpha-1.2.tar.gz", an_sdist("alpha", "1.2", setup=""))

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert str(error).startswith("alpha 1.2 has no wheel. MCPbox installs wheels only")


async def test_a_wheel_for_another_machine_is_refused(
    offered: LocalIndex, index: PackageIndex
) -> None:
    name = wheel_name("alpha", tag="cp311-cp311-win_amd64")
    offered.offer("alpha", name, a_wheel("alpha", pure=False))

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert "has no wheel for Python" in str(error)


@pytest.mark.parametrize("pages", ["json", "html"])
@pytest.mark.parametrize("specifier", ["", "==1.0"])
async def test_a_yanked_version_is_refused_with_its_reason(
    offered: LocalIndex, index: PackageIndex, pages: str, specifier: str
) -> None:
    """Also where it is asked for by its number, which pip would install with a warning."""
    offered.pages = pages
    offered.add("alpha").yanked = "steals <passwords>"

    error = await refused(index, asked("alpha", specifier))

    assert isinstance(error, Refused)
    assert "alpha 1.0 was yanked (withdrawn by its authors): steals <passwords>." in str(error)


async def test_requirements_that_contradict_each_other_are_named(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", requires=["shared<2"])
    offered.add("gamma", requires=["shared>=2"])
    offered.add("shared", "1.0")
    offered.add("shared", "2.0")

    error = await refused(index, asked("alpha"), asked("gamma"))

    assert isinstance(error, Invalid)
    assert "alpha 1.0 depends on shared<2" in str(error)
    assert "gamma 1.0 depends on shared>=2" in str(error)


async def test_two_wishes_for_one_package_that_exclude_each_other_are_named(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", "1.0")
    offered.add("alpha", "2.0")

    error = await refused(index, asked("alpha", "<2"), asked("alpha", ">=2"))

    assert isinstance(error, Invalid)
    assert "alpha<2" in str(error)
    assert "alpha>=2" in str(error)


async def test_an_index_that_is_not_there_is_unavailable(nowhere: str) -> None:
    error = await refused(PackageIndex(f"{nowhere}/simple"), asked("alpha"))

    assert isinstance(error, Unavailable)


async def test_an_index_that_fails_is_unavailable(offered: LocalIndex, index: PackageIndex) -> None:
    offered.broken["/simple/"] = 503

    assert isinstance(await refused(index, asked("alpha")), Unavailable)


async def test_a_file_that_does_not_arrive_makes_the_index_unavailable(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha")
    offered.broken["/files/"] = 503

    assert isinstance(await refused(index, asked("alpha")), Unavailable)


async def test_a_broken_wheel_is_refused_without_a_path_of_ours(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha").content = b"no wheel"

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert "is invalid" in str(error)
    assert "/" not in str(error)


async def test_more_wheels_than_the_limit_are_refused(
    offered: LocalIndex, index: PackageIndex
) -> None:
    names = [f"part{number}" for number in range(WHEELS_MAX)]
    offered.add("alpha", requires=names)
    for name in names:
        offered.add(name)

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert str(error) == "This needs 61 packages; at most 60 are installed."


async def test_more_bytes_than_the_limit_are_refused_before_they_are_fetched(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha").announced_size = WHEELS_MAX_BYTES + 1

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert "at most 200.0 MB" in str(error)


async def test_a_file_that_is_not_the_announced_one_is_refused(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha").announced_sha256 = "0" * 64

    error = await refused(index, asked("alpha"))

    assert isinstance(error, Refused)
    assert "not the one it announces" in str(error)


async def test_settings_of_this_machines_pip_play_no_part(
    offered: LocalIndex,
    index: PackageIndex,
    nowhere: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered.add("alpha")
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nno-index = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_INDEX_URL", f"{nowhere}/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('ran')")

    assert (await index.resolve([asked("alpha")])).wheels


async def test_pip_runs_with_limits_and_without_our_secrets(
    offered: LocalIndex, index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPBOX_ENCRYPTION_KEY", "0123456789abcdef")
    offered.add("alpha")
    offered.pages_held_until = threading.Event()

    resolving = asyncio.create_task(index.resolve([asked("alpha")]))
    try:
        process = await _pip_process(offered)
        environment = (process / "environ").read_bytes()
        limits = (process / "limits").read_text()
    finally:
        offered.pages_held_until.set()
    await resolving

    assert b"PIP_CONFIG_FILE=/dev/null" in environment
    assert b"MCPBOX" not in environment
    assert b"0123456789abcdef" not in environment
    hard = dict(re.findall(r"^Max (.+?)  +\S+ +(\S+)", limits, re.M))
    assert hard["address space"] == str(2**30)
    assert hard["cpu time"] == "90"
    assert hard["file size"] == str(256 * 2**20)


async def test_pip_dies_with_whoever_asked(offered: LocalIndex, index: PackageIndex) -> None:
    offered.pages_held_until = threading.Event()
    resolving = asyncio.create_task(index.resolve([asked("alpha")]))
    process = await _pip_process(offered)
    home = _home_of(process)

    resolving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resolving
    offered.pages_held_until.set()

    assert not any(map(_exists, [process, home]))


async def test_an_index_that_keeps_us_waiting_is_given_up(offered: LocalIndex) -> None:
    offered.pages_held_until = threading.Event()

    error = await refused(PackageIndex(offered.index_url, resolve_timeout_s=0.5), asked("alpha"))
    offered.pages_held_until.set()

    assert isinstance(error, Unavailable)
    assert "more than 0.5 seconds" in str(error)


@pytest.mark.parametrize(
    "address", ["", "ftp://host/index", "https://user:word@host/index", "https://host/?a=b"]
)
def test_an_address_that_cannot_be_used_is_named_by_its_setting_only(address: str) -> None:
    with pytest.raises(Invalid, match="MCPBOX_PACKAGE_INDEX_URL") as caught:
        PackageIndex(address)

    assert "word" not in str(caught.value).replace("password", "")


async def _pip_process(offered: LocalIndex) -> Path:
    """In /proc, once it has asked the index for its first page."""
    assert await asyncio.to_thread(offered.asked.wait, 30)
    (found,) = (
        process
        for process in _processes()
        if b"pip_process.py" in (command := _read(process / "cmdline"))
        and offered.index_url.encode() in command
    )
    return found


def _processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def _home_of(process: Path) -> Path:
    return Path(os.readlink(process / "cwd"))


def _exists(path: Path) -> bool:
    return path.exists()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
