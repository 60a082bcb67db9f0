"""Wheels and sets on disk: kept, found again, and not used once they were changed."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from sandbox.module_sets.cache import WheelCache, WrongWheel
from sandbox.module_sets.store import MissingFromCache, ModuleSets, UnknownModuleSet
from tests.integration.sandbox.wheels import Made, Recipe, pure, set_of

GREET = {"greet/__init__.py": b"HELLO = 'hello'\n"}


@pytest.fixture
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="modules-") as path:
        yield Path(path)


@pytest.fixture
def sets(directory: Path) -> ModuleSets:
    sets = ModuleSets(directory)
    sets.open()
    return sets


async def install(sets: ModuleSets, *wheels: Made) -> Path:
    """Where its files are."""
    for wheel in wheels:
        await sets.receive_wheel(wheel.sha256, wheel.pieces())
    key = (await sets.install(set_of(*wheels))).key
    return (await sets.require_unchanged(key))[0]


async def test_a_set_whose_wheels_are_not_here_is_not_installed(sets: ModuleSets) -> None:
    made = pure("one", "")

    with pytest.raises(MissingFromCache) as missing:
        await sets.install(set_of(made))

    assert missing.value.missing == (made.sha256,)


async def test_what_has_another_hash_is_not_kept(sets: ModuleSets, directory: Path) -> None:
    with pytest.raises(WrongWheel):
        await sets.receive_wheel("0" * 64, pure("one", "").pieces())

    assert not list((directory / "wheels").iterdir())
    assert not list((directory / "partial").iterdir())


async def test_the_oldest_wheels_make_room(directory: Path) -> None:
    for name in ("wheels", "partial"):
        (directory / name).mkdir()
    wheels = [pure(name, "x = 1\n" * 10) for name in ("first", "second", "third")]
    room = sum(len(wheel.content) for wheel in wheels[1:])
    cache = WheelCache(directory / "wheels", directory / "partial", max_bytes=room)

    for age, wheel in enumerate(wheels):
        await cache.receive(wheel.sha256, wheel.pieces())
        os.utime(cache.path_of(wheel.sha256), (age, age))

    assert cache.missing(set_of(*wheels)) == (wheels[0].sha256,)


async def test_many_who_ask_for_a_set_at_once_have_it_installed_once(
    sets: ModuleSets, directory: Path
) -> None:
    made = Recipe(GREET).made()
    await sets.receive_wheel(made.sha256, made.pieces())

    answers = await asyncio.gather(*(sets.install(set_of(made)) for _ in range(5)))
    [place] = (directory / "module-sets").iterdir()
    before = place.stat().st_ino
    again = await sets.install(set_of(made))

    assert {answer.key for answer in answers} == {again.key} == {f"sha256:{place.name}"}
    assert place.stat().st_ino == before


async def test_a_set_is_still_there_after_a_restart_and_leftovers_are_not(
    sets: ModuleSets, directory: Path
) -> None:
    made = Recipe(GREET).made()
    files = await install(sets, made)
    half = directory / "partial/half/files"
    half.mkdir(parents=True)
    half.chmod(0o555)
    (directory / "module-sets" / ("0" * 64)).mkdir()  # no manifest
    other = directory / "module-sets" / ("1" * 64)
    other.mkdir()
    (other / "manifest.json").write_text('{"files": {}, "python": "cpython-27"}')

    restarted = ModuleSets(directory)
    restarted.open()

    assert restarted.find(set_of(made).key) == sets.find(set_of(made).key)
    assert list((directory / "partial").iterdir()) == []
    assert list((directory / "module-sets").iterdir()) == [files.parent]


async def test_without_a_directory_of_its_own_nothing_is_left_behind(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    sets = ModuleSets()
    sets.open()
    files = await install(sets, Recipe(GREET).made())

    assert files.is_relative_to(directory)
    await sets.aclose()
    assert os.listdir(directory) == []


def changed(files: Path) -> None:
    file = files / "greet/__init__.py"
    file.chmod(0o644)
    file.write_bytes(b"HELLO = 'hullo'\n")


def added(files: Path) -> None:
    (files / "greet").chmod(0o755)
    (files / "greet/evil.py").write_text("")


def removed(files: Path) -> None:
    (files / "greet").chmod(0o755)
    (files / "greet/__init__.py").unlink()


def linked(files: Path) -> None:
    removed(files)
    (files / "greet/__init__.py").symlink_to("/etc/passwd")


def linked_twice(files: Path) -> None:
    os.link(files / "greet/__init__.py", files.parent / "other")


@pytest.mark.parametrize("tamper", [changed, added, removed, linked, linked_twice])
async def test_a_set_that_was_changed_is_not_used_until_it_is_installed_again(
    sets: ModuleSets, tamper: Callable[[Path], None]
) -> None:
    made = Recipe(GREET).made()
    files = await install(sets, made)
    tamper(files)

    with pytest.raises(UnknownModuleSet):
        await sets.require_unchanged(set_of(made).key)
    assert sets.find(set_of(made).key) is None
    again = await install(sets, made)

    assert os.listdir(again.parents[2] / "partial") == []
    assert (again / "greet/__init__.py").read_bytes() == GREET["greet/__init__.py"]
