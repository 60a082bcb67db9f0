"""Reads what a wheel holds, without running or unpacking any of it.

Source: the binary distribution format (PEP 427), entry points and core metadata specifications.
"""

import configparser
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from io import BytesIO
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mcpbox.domain.errors import Refused
from mcpbox.domain.modules import PinnedWheel, WheelContents

UNPACKED_MAX_BYTES = 1024 * 2**20
FILES_MAX = 20_000
_TEXT_MAX_BYTES = 4 * 2**20
_NATIVE = re.compile(r"\.(?:so(?:\.[0-9.]+)?|pyd|dll|dylib|a|o|exe|bin)$", re.IGNORECASE)
_MODULE_FILE = re.compile(
    r"^([A-Za-z_][A-Za-z0-9_]*)(?:\.py|(?:\.(?:cpython|abi3|pypy)[A-Za-z0-9_-]*)?\.so)$"
)
_PACKAGE_FOLDER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError)
_ENCRYPTED = 1
_PLAIN_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)
_SCRIPT_GROUPS = ("console_scripts", "gui_scripts")


def read_wheel(wheel: PinnedWheel, content: bytes) -> WheelContents:
    """Raises: Refused: it is broken, or made to deceive whoever unpacks it."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return _Reader(wheel, archive).contents()
    except (*_UNREADABLE, ValueError, OSError) as error:
        raise Refused(f"{wheel.filename} is not a readable wheel.") from error


class _Reader:
    def __init__(self, wheel: PinnedWheel, archive: zipfile.ZipFile) -> None:
        self._wheel = wheel
        self._archive = archive
        self._refuse_traps()
        self._entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        self._info = self._info_folder()

    def _refuse_traps(self) -> None:
        filename, entries = self._wheel.filename, self._archive.infolist()
        if len(entries) > FILES_MAX:
            raise Refused(f"{filename} has {len(entries)} files; at most {FILES_MAX}.")
        if sum(entry.file_size for entry in entries) > UNPACKED_MAX_BYTES:
            raise Refused(f"{filename} unpacks to more than {UNPACKED_MAX_BYTES >> 20} MB.")
        seen: set[PurePosixPath] = set()
        for entry in entries:
            path = PurePosixPath(entry.filename)
            strays = path.is_absolute() or not path.parts or ".." in path.parts
            if strays or "\\" in entry.filename or not entry.filename.isprintable():
                raise Refused(f"{filename} holds a file for outside of its folder.")
            if stat.S_IFMT(entry.external_attr >> 16) not in _PLAIN_KINDS:
                raise Refused(f"{filename} holds a link or a device: {entry.filename!r}.")
            if path in seen or entry.flag_bits & _ENCRYPTED:
                raise Refused(f"{filename} holds {entry.filename!r} twice, or encrypted.")
            seen.add(path)

    def contents(self) -> WheelContents:
        wheel = self._wheel
        metadata = HeaderParser().parsestr(self._text("METADATA"))
        name, version = str(metadata["Name"]), str(metadata["Version"])
        if (canonicalize_name(name), _normal(version)) != (wheel.package, wheel.version):
            raise Refused(f"{wheel.filename} calls itself {name[:100]!r} {version[:100]!r}.")
        installed = [path for entry in self._entries if (path := _place(entry.filename))]
        names = [entry.filename for entry in self._entries]
        return WheelContents(
            package=wheel.package,
            version=wheel.version,
            modules=tuple(sorted(set(_modules(installed)))),
            native=any(_NATIVE.search(name) for name in names) or not self._is_pure(),
            scripts=tuple(sorted({*self._entry_points(), *_script_files(names)})),
            pth_files=tuple(sorted(path.name for path in installed if path.suffix == ".pth")),
            file_count=len(names),
            unpacked_bytes=sum(entry.file_size for entry in self._entries),
            requires_python=str(metadata["Requires-Python"] or ""),
        )

    def _info_folder(self) -> str:
        folders = {
            folder
            for entry in self._entries
            if (folder := entry.filename.partition("/")[0]).endswith(".dist-info")
        }
        if len(folders) != 1:
            raise Refused(f"{self._wheel.filename} has {len(folders)} .dist-info folders, not one.")
        return folders.pop()

    def _is_pure(self) -> bool:
        flags = HeaderParser().parsestr(self._text("WHEEL"))
        return str(flags["Root-Is-Purelib"]).strip().lower() == "true"

    def _entry_points(self) -> Iterator[str]:
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        try:
            parser.read_string(self._text("entry_points.txt", needed=False))
        except configparser.Error:
            return
        for group in _SCRIPT_GROUPS:
            if parser.has_section(group):
                yield from parser.options(group)

    def _text(self, name: str, *, needed: bool = True) -> str:
        try:
            entry = self._archive.getinfo(f"{self._info}/{name}")
        except KeyError:
            if needed:
                raise Refused(f"{self._wheel.filename} has no {name}.") from None
            return ""
        if entry.file_size > _TEXT_MAX_BYTES:
            raise Refused(f"{self._wheel.filename} has a {name} that is too large.")
        with self._archive.open(entry) as file:
            return file.read(_TEXT_MAX_BYTES).decode("utf-8", "replace")


def _normal(version: str) -> str:
    try:
        return str(Version(version))
    except InvalidVersion:
        return ""


def _place(filename: str) -> PurePosixPath | None:
    """Below site-packages; ``None`` for what is no part of the import path."""
    parts = PurePosixPath(filename).parts
    if parts[0].endswith(".data"):
        return PurePosixPath(*parts[2:]) if parts[1:2] in (("purelib",), ("platlib",)) else None
    return None if parts[0].endswith(".dist-info") else PurePosixPath(*parts)


def _modules(installed: Sequence[PurePosixPath]) -> Iterator[str]:
    """A folder counts when there is a module anywhere below it: it may be a namespace package."""
    for path in installed:
        module = _MODULE_FILE.match(path.name)
        if module is None:
            continue
        if len(path.parts) == 1:
            yield module[1]
        elif _PACKAGE_FOLDER.fullmatch(path.parts[0]):
            yield path.parts[0]


def _script_files(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        parts = PurePosixPath(name).parts
        if parts[0].endswith(".data") and parts[1:2] == ("scripts",):
            yield parts[-1]
