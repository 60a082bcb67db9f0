"""Unpacking wheels: what is refused, what is left out, and what the unpacking process may do."""

import asyncio
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from packaging.tags import sys_tags

from sandbox.module_sets.installer import SetRefused
from sandbox.module_sets.store import ModuleSets
from tests.integration.sandbox.running import ROOT
from tests.integration.sandbox.wheels import Made, Recipe, record_line, set_of

GREET = {"greet/__init__.py": b"HELLO = 'hello'\n"}
INFO = "greet-1.0.dist-info"


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


async def refusal(sets: ModuleSets, directory: Path, *wheels: Made) -> str:
    """Why nothing was installed."""
    with pytest.raises(SetRefused) as refused:
        await install(sets, *wheels)
    assert list((directory / "module-sets").iterdir()) == []
    assert list((directory / "partial").iterdir()) == []
    return str(refused.value)


def with_file(name: str, content: bytes = b"x = 1\n") -> Made:
    return Recipe({**GREET, name: content}).made()


def rezipped(change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes]]) -> Made:
    made = Recipe(GREET).made()
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(made.content)) as old, zipfile.ZipFile(packed, "w") as new:
        for info in old.infolist():
            new.writestr(*change(info, old.read(info)))
    return replace(made, content=packed.getvalue())


def encrypted(made: Made) -> Made:
    """Says of its first member that it is; nothing else of the file is changed."""
    content = bytearray(made.content)
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return replace(made, content=bytes(content))


def of_kind(mode: int) -> Made:
    def change(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if info.filename == "greet/__init__.py":
            info.external_attr = mode << 16
        return info, content

    return rezipped(change)


def by_lzma() -> Made:
    def change(info: zipfile.ZipInfo, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        info.compress_type = zipfile.ZIP_LZMA
        return info, content

    return rezipped(change)


REFUSED = {
    "a path above": (with_file("../escaped.py"), "plain relative path"),
    "a path above, deeper": (with_file("greet/../../escaped.py"), "plain relative path"),
    "an absolute path": (with_file("/tmp/escaped.py"), "plain relative path"),
    "a path of Windows": (with_file("greet\\..\\escaped.py"), "plain relative path"),
    "a path with a dot": (with_file("greet/./x.py"), "plain relative path"),
    "a path with a line": (with_file("greet/a\nb.py"), "plain relative path"),
    "a long path": (with_file("greet/" + "x" * 300 + ".py"), "too long"),
    "a symbolic link": (Recipe(GREET, links={"greet/key": "/etc/shadow"}).made(), "a link"),
    "a device": (of_kind(0o020666), "special file"),
    "a pipe": (of_kind(0o010666), "special file"),
    "a module of Python": (with_file("json/__init__.py"), "its module json would replace"),
    "a builtin": (with_file("sys.py"), "its module sys would replace"),
    "one of Python's own, as machine code": (with_file("_json.abi3.so"), "module _json"),
    "the sandbox": (with_file("sandbox/namespace.py"), "its module sandbox would replace"),
    "a library of the sandbox": (with_file("httpx.py"), "its module httpx would replace"),
    "one that comes with Python's start": (with_file("sitecustomize.py"), "sitecustomize"),
    "one in its data": (with_file("greet-1.0.data/purelib/ssl.py"), "its module ssl"),
    "a wrong hash": (
        Recipe(GREET, record={"greet/__init__.py": record_line("greet/__init__.py", b"?")}).made(),
        "not what RECORD says",
    ),
    "a wrong size": (
        Recipe(
            GREET,
            record={"greet/__init__.py": record_line("greet/__init__.py", *GREET.values()) + "0"},
        ).made(),
        "not what RECORD says",
    ),
    "no hash": (
        Recipe(GREET, record={"greet/__init__.py": ""}).made(),
        "RECORD has no usable hash",
    ),
    "a weak hash": (
        Recipe(GREET, record={"greet/__init__.py": "greet/__init__.py,md5=abc,16"}).made(),
        "RECORD has no usable hash",
    ),
    "a file that is not there": (
        Recipe(GREET, record={"greet/gone.py": "greet/gone.py,sha256=abc,1"}).made(),
        "RECORD names 'greet/gone.py'",
    ),
    "a bomb": (with_file("greet/zeros", bytes(5 * 2**20)), "would grow more than"),
    "an encrypted file": (encrypted(Recipe(GREET).made()), "is encrypted"),
    "a rare compression": (by_lzma(), "compressed in an unusual way"),
    "no zip file": (Made("greet-1.0-py3-none-any.whl", b"hello"), "no zip file"),
    "the metadata of another": (
        Made("other-1.0-py3-none-any.whl", Recipe(GREET).made().content),
        "it needs one folder other-1.0.dist-info",
    ),
    "a name that is none": (Made("greet.whl", Recipe(GREET).made().content), "not the file name"),
    "another machine": (
        Recipe(GREET, tag="cp311-cp311-win_amd64").made(),
        f"does not fit this sandbox, which is {next(iter(sys_tags()))}",
    ),
    "another Python": (Recipe(GREET, tag="cp27-none-any").made(), "does not fit this sandbox"),
}


@pytest.mark.parametrize(("wheel", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_wheel_that_no_build_tool_makes_is_refused(
    sets: ModuleSets, directory: Path, wheel: Made, reason: str
) -> None:
    assert reason in await refusal(sets, directory, wheel)


async def test_a_file_that_two_wheels_bring_is_refused(sets: ModuleSets, directory: Path) -> None:
    other = Recipe({"greet/__init__.py": b"HELLO = 'no'\n"}, name="other").made()

    said = await refusal(sets, directory, Recipe(GREET).made(), other)

    assert "two of its wheels bring 'greet/__init__.py'" in said


async def test_a_file_that_says_less_than_it_holds_is_refused(
    sets: ModuleSets, directory: Path
) -> None:
    made = Recipe({"greet/data": b"0123456789" * 1000}, name="greet").made()
    content = made.content.replace((10_000).to_bytes(4, "little"), (9_000).to_bytes(4, "little"))
    assert content != made.content

    said = await refusal(sets, directory, replace(made, content=content))

    assert "'greet/data' is" in said


async def test_too_many_files_are_refused(sets: ModuleSets, directory: Path) -> None:
    files = {f"greet/{number}": b"" for number in range(20_001)}

    assert "more than 20000 files" in await refusal(sets, directory, Recipe(files).made())


async def test_too_much_is_refused_before_any_of_it_is_written(
    sets: ModuleSets, directory: Path
) -> None:
    """The sizes are announced in the directory of the zip file."""
    files = {f"greet/{number}": b"" for number in range(3)}
    packed = BytesIO(Recipe(files).made().content)
    content = bytearray(packed.getvalue())
    at = 0
    for _ in files:
        at = content.index(b"PK\x01\x02", at + 1)
        content[at + 20 : at + 24] = (2**20).to_bytes(4, "little")
        content[at + 24 : at + 28] = (190 * 2**20).to_bytes(4, "little")

    said = await refusal(sets, directory, Made("greet-1.0-py3-none-any.whl", bytes(content)))

    assert "more than 524288000 bytes unpacked" in said


async def test_what_could_run_at_a_start_or_as_a_command_is_left_out(sets: ModuleSets) -> None:
    recipe = Recipe(
        {
            **GREET,
            "greet.pth": b"import os",
            "greet/__pycache__/__init__.cpython-311.pyc": b"x",
            "greet/old.pyc": b"x",
            "greet-1.0.data/scripts/greet": b"#!python",
            "greet-1.0.data/headers/greet.h": b"",
            "greet-1.0.data/data/etc/greet": b"",
            "greet-1.0.data/purelib/greet/pure.py": b"",
            "greet-1.0.data/platlib/greet/plat.txt": b"",
            "greet-1.0.data/platlib/greet.pth": b"import os",
        }
    )

    files = await install(sets, recipe.made())

    cache = f"__pycache__/{{}}.{sys.implementation.cache_tag}.pyc"
    found = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    assert found == {
        *(f"{INFO}/METADATA", f"{INFO}/WHEEL"),
        *("greet/__init__.py", "greet/pure.py", "greet/plat.txt"),
        *(f"greet/{cache.format(name)}" for name in ("__init__", "pure")),
    }


async def test_compiled_files_are_ours_and_need_no_look_at_the_source(sets: ModuleSets) -> None:
    """PEP 552: bit 0 says hash-based, bit 1 would say to check."""
    files = await install(sets, Recipe(GREET).made())
    [compiled] = (files / "greet/__pycache__").iterdir()

    assert compiled.read_bytes()[4:8] == b"\x01\0\0\0"


async def test_source_that_this_python_does_not_read_is_kept_uncompiled(sets: ModuleSets) -> None:
    files = await install(sets, with_file("greet/old.py", b"print 'hello'\n"))

    assert (files / "greet/old.py").exists()
    assert len(list((files / "greet/__pycache__").iterdir())) == 1


async def test_nothing_of_an_installed_set_can_be_written(sets: ModuleSets) -> None:
    files = await install(sets, Recipe(GREET).made())
    everything = [files, *files.rglob("*")]

    assert {path.stat().st_mode & 0o777 for path in everything} == {0o444, 0o555}
    assert {path.stat().st_uid for path in everything} == {os.geteuid()}


async def test_a_package_that_the_sandbox_has_itself_is_left_out(sets: ModuleSets) -> None:
    """Many packages need it, and everybody is to have the same."""
    own = Recipe({"typing_extensions.py": b"raise SystemExit"}, name="typing_extensions").made()

    files = await install(sets, own, Recipe(GREET).made())

    assert {path.name for path in files.iterdir()} == {"greet", INFO}


async def test_the_modules_of_a_set_are_its_top_level_names(sets: ModuleSets) -> None:
    recipe = Recipe(
        {
            **GREET,
            "single.py": b"",
            "_fast.abi3.so": b"",
            "space/deep/part.py": b"",
            "greet.libs/x.so": b"",
            "docs/read.me": b"",
        }
    )
    made = recipe.made()
    await install(sets, made)

    installed = sets.find(set_of(made).key)

    assert installed is not None
    assert installed.modules == ("_fast", "greet", "single", "space")
    assert installed.files > len(recipe.files)
    assert installed.bytes > 0


ATTEMPTS = """
import os, socket, sys
sys.path.append(sys.argv[1])
from sandbox.module_sets.unpacking import Order, lock_down
lock_down(Order(int(sys.argv[3]), [], int(sys.argv[2])))
target = int(sys.argv[2])
def attempt(name, act):
    try:
        act()
    except (OSError, MemoryError):
        return
    print(name)
made = os.O_WRONLY | os.O_CREAT
attempt("write in the target", lambda: os.open("inside", made, dir_fd=target))
attempt("write above the target", lambda: os.open("../outside", made, dir_fd=target))
attempt("write elsewhere", lambda: os.open(sys.argv[4], made))
attempt("read the host", lambda: os.open("/etc/passwd", os.O_RDONLY))
attempt("link", lambda: os.symlink("/etc", "link", dir_fd=target))
attempt("open a socket", socket.socket)
attempt("fork", lambda: os.fork() or os._exit(0))
attempt("start a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("use 2 GB", lambda: bytearray(2**31))
"""


async def test_the_unpacking_process_can_only_fill_its_directory(directory: Path) -> None:
    inner = directory / "inner"
    inner.mkdir()
    for path in (inner, directory):
        os.chmod(path, 0o777)  # noqa: S103  the process may be another user by then
    target = os.open(inner, os.O_RDONLY)
    arguments = [str(ROOT), str(target), str(os.getpid()), str(directory / "elsewhere")]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-c", ATTEMPTS, *arguments),
        pass_fds=[target],
        stdout=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    os.close(target)

    assert said.decode().splitlines() == ["write in the target"]
    assert os.listdir(directory) == ["inner"]
