"""What a wheel holds, read without running or unpacking it."""

import stat
import zipfile
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.errors import Refused
from mcpbox.domain.modules import PinnedWheel, WheelContents
from mcpbox.packages.wheels import FILES_MAX, UNPACKED_MAX_BYTES, read_wheel
from tests.package_archives import a_wheel

PIN = PinnedWheel(
    package="alpha",
    version="1.0",
    filename="alpha-1.0-py3-none-any.whl",
    sha256="0" * 64,
    size=1,
    url="",
)


def read(**given: Any) -> WheelContents:
    return read_wheel(PIN, a_wheel("alpha", **given))


def a_member(name: str, *, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (kind | 0o644) << 16
    return member


def test_a_wheel_offers_what_can_be_imported() -> None:
    contents = read(
        files=dict.fromkeys(
            [
                *("one.py", "two/__init__.py", "three/deep/four.py", "five.abi3.so", "six.so"),
                *("seven.cpython-311-x86_64-linux-gnu.so", "alpha.libs/libx.so.1", "data/a.txt"),
                *("alpha-1.0.data/purelib/eight.py", "alpha-1.0.data/data/nine.py", "te-n.py"),
            ],
            "",
        )
    )

    assert contents.modules == ("eight", "five", "one", "seven", "six", "three", "two")


def test_plain_python_has_no_native_code() -> None:
    contents = read(files={"alpha/__init__.py": "", "alpha/data.json": ""})

    assert not contents.native
    assert contents.sentence == (
        f"Offers alpha; native code: no; 5 files; {contents.unpacked_bytes} bytes unpacked."
    )


@pytest.mark.parametrize("name", ["alpha/_c.so", "alpha.libs/libc.so.6.1", "alpha/x.PYD"])
def test_native_code_is_seen_by_its_name(name: str) -> None:
    assert read(files={"alpha.py": "", name: ""}).native


def test_a_wheel_that_calls_itself_native_is_believed() -> None:
    assert read(pure=False).native


def test_scripts_and_start_up_hooks_are_named() -> None:
    contents = read(
        files={"alpha.py": "", "hook.pth": "", "alpha-1.0.data/scripts/run": ""},
        entry_points="[console_scripts]\nalpha-cli = alpha:main\n[gui_scripts]\nshow=alpha:show\n",
    )

    assert contents.scripts == ("alpha-cli", "run", "show")
    assert contents.pth_files == ("hook.pth",)
    assert ".pth files: hook.pth" in contents.sentence


def test_the_python_it_needs_is_read() -> None:
    assert read(requires_python=">=3.9").requires_python == ">=3.9"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("../outside.py", "outside"),
        ("/etc/outside.py", "outside"),
        ("alpha\\outside.py", "outside"),
        ("alpha/../../outside.py", "outside"),
        ("alpha/\x01.py", "outside"),
        ("alpha.py", "twice"),
        ("./alpha.py", "twice"),
        ("beta-1.0.dist-info/METADATA", "2 .dist-info folders"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_wheel_made_to_deceive_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        read(members=[(a_member(name), b"")])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_or_a_device_is_refused(kind: int) -> None:
    with pytest.raises(Refused, match="a link or a device"):
        read(members=[(a_member("alpha/link", kind=kind), b"/etc/passwd")])


def test_a_wheel_that_unpacks_to_too_much_is_refused_by_what_it_announces() -> None:
    content = bytearray(a_wheel("alpha"))
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = UNPACKED_MAX_BYTES.to_bytes(4, "little")

    with pytest.raises(Refused, match="unpacks to more than 1024 MB"):
        read_wheel(PIN, bytes(content))


def test_too_many_files_are_refused() -> None:
    many = [(a_member(f"alpha/{number}"), b"") for number in range(FILES_MAX)]

    with pytest.raises(Refused, match="at most 20000"):
        read(members=many)


@pytest.mark.parametrize(("name", "version"), [("beta", "1.0"), ("alpha", "2.0"), ("alpha", "?")])
def test_a_wheel_of_another_name_or_version_is_refused(name: str, version: str) -> None:
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    with pytest.raises(Refused, match="calls itself"):
        read(metadata=metadata)


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(Refused, match="not a readable wheel"):
        read_wheel(PIN, b"<html>not found</html>")


@given(place=st.integers(min_value=0), byte=st.integers(0, 255))
def test_a_damaged_wheel_is_read_or_refused(place: int, byte: int) -> None:
    content = bytearray(a_wheel("alpha"))
    content[place % len(content)] = byte

    with suppress(Refused):
        read_wheel(PIN, bytes(content))
