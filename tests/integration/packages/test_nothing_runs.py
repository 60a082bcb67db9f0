"""No code of a package runs while it is resolved or read, however it is offered."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcpbox.domain.errors import Refused
from mcpbox.domain.modules import Requirement
from mcpbox.packages import pip_process
from mcpbox.packages.index import PackageIndex
from mcpbox.packages.wheels import read_wheel
from tests.package_archives import an_sdist
from tests.package_index import LocalIndex

INSTALL = ("install", "--isolated", "--no-index", "--dry-run", "--ignore-installed")
ALPHA = Requirement(module="alpha", package="alpha")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def hostile(marker: Path) -> str:
    """Python source that leaves a mark, whoever runs it."""
    return f"open({str(marker)!r}, 'w').close()\n"


def ran(marker: Path) -> bool:
    return marker.exists()


@pytest.fixture
def builds_itself(tmp_path: Path, hostile: str) -> Path:
    """A source package whose own build backend is the hostile code."""
    folder = tmp_path / "beta"
    folder.mkdir()
    (folder / "backend.py").write_text(hostile)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return folder


def run(*command: str) -> int:
    done = subprocess.run(  # noqa: S603 (our own commands)
        [sys.executable, "-I", *command],
        capture_output=True,
        timeout=50,
        check=False,
    )
    return done.returncode


def test_even_a_build_that_pip_has_begun_runs_nothing(builds_itself: Path, marker: Path) -> None:
    """Plain pip, as the control, does run it."""
    assert run(pip_process.__file__, *INSTALL, str(builds_itself)) != 0
    assert not ran(marker)

    run("-m", "pip", *INSTALL, str(builds_itself))
    assert ran(marker)


async def test_a_newer_source_package_is_passed_over(
    offered: LocalIndex, index: PackageIndex, hostile: str, marker: Path
) -> None:
    offered.add("alpha", "1.0")
    offered.offer("alpha", "alpha-2.0.tar.gz", an_sdist("alpha", "2.0", setup=hostile))

    lock = await index.resolve([ALPHA])

    assert [wheel.version for wheel in lock.wheels] == ["1.0"]
    assert not ran(marker)


async def test_a_source_package_alone_is_neither_fetched_nor_run(
    offered: LocalIndex, index: PackageIndex, hostile: str, marker: Path
) -> None:
    offered.offer("alpha", "alpha-2.0.tar.gz", an_sdist("alpha", "2.0", setup=hostile))

    with pytest.raises(Refused):
        await index.resolve([ALPHA])

    assert not ran(marker)
    assert not [line for line in offered.requests if "/files/" in line]


@pytest.mark.parametrize("form", ["{base}/elsewhere/beta-1.0.tar.gz", "file://{path}"])
async def test_a_dependency_given_as_an_address_is_refused_and_not_fetched(
    offered: LocalIndex,
    index: PackageIndex,
    hostile: str,
    marker: Path,
    tmp_path: Path,
    form: str,
) -> None:
    """pip builds such a package whatever ``--only-binary`` says."""
    source = tmp_path / "beta-1.0.tar.gz"
    source.write_bytes(an_sdist("beta", "1.0", setup=hostile))
    address = form.format(base=offered.base, path=source)
    offered.add("alpha", requires=[f"beta @ {address}"])

    with pytest.raises(Refused, match="needs 'beta' from an address"):
        await index.resolve([ALPHA])

    assert not ran(marker)
    assert not [line for line in offered.requests if "elsewhere" in line]


async def test_a_repository_as_a_dependency_starts_no_git(
    offered: LocalIndex, index: PackageIndex
) -> None:
    offered.add("alpha", requires=[f"beta @ git+{offered.base}/beta.git"])

    with pytest.raises(Refused, match="needs 'beta' from an address"):
        await index.resolve([ALPHA])

    assert not [line for line in offered.requests if "beta.git" in line]


async def test_a_wheel_is_read_without_running_it(
    offered: LocalIndex, index: PackageIndex, hostile: str, marker: Path
) -> None:
    files = dict.fromkeys(["alpha/__init__.py", "alpha.pth", "sitecustomize.py"], hostile)
    offered.add("alpha", files=files)

    (wheel,) = (await index.resolve([ALPHA])).wheels
    contents = read_wheel(wheel, await index.fetch(wheel))

    assert contents.pth_files == ("alpha.pth",)
    assert not ran(marker)
