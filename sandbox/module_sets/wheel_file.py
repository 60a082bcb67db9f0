"""A wheel, read by somebody who expects to be lied to; nothing of it is run.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

import base64
import csv
import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Generator, Iterator
from typing import IO, NamedTuple

from sandbox.module_sets.names import is_reserved, normal, top_level_name

MAX_FILES = 20_000
MAX_BYTES = 500 * 2**20
MAX_FILE_BYTES = 200 * 2**20
_MAX_PATH_BYTES = 512
_MAX_NAME_BYTES = 200
_MAX_RATIO = 300
_RATIO_COUNTS_FROM_BYTES = 2**20
_MAX_METADATA_BYTES = 8 * 2**20
_ENCRYPTED = 1
_HASHES = ("sha256", "sha384", "sha512")
_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_MERGED = ("purelib", "platlib")
_CHUNK_BYTES = 2**18


class Refused(Exception):
    """Says what about the wheel is not acceptable."""


class Member(NamedTuple):
    path: str
    """Below the directory where all wheels of a set are unpacked."""
    info: zipfile.ZipInfo


class WheelFile:
    def __init__(self, file: IO[bytes], filename: str, size: int) -> None:
        """Raises: Refused: it is no wheel, or one that no installer should unpack."""
        self._filename = filename
        self._size = size
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise self._refused("it is no zip file") from error
        self._entries = self._plain_entries()
        distribution, version, *_ = filename.split("-")
        self._stem = f"{distribution}-{version}"
        self._info = self._metadata_folder()
        self._record = self._read_record()

    @property
    def announced_bytes(self) -> int:
        return sum(info.file_size for info in self._entries.values())

    @property
    def announced_files(self) -> int:
        return len(self._entries)

    def members(self) -> Iterator[Member]:
        """What is to be unpacked: no command, header, start-up hook or compiled file.

        Raises: Refused: it would stand in for a module of Python or of the sandbox.
        """
        for name, info in self._entries.items():
            path = self._target(name)
            if path is None:
                continue
            top = top_level_name(path)
            if top is not None and is_reserved(top):
                raise self._refused(f"its module {top} would replace one of Python's or of ours")
            yield Member(path, info)

    def content(self, member: Member) -> Generator[bytes]:
        """In pieces; at the end, it was what RECORD says. Raises: Refused."""
        name = member.info.filename
        algorithm, expected, size = self._record_of(name)
        digest = hashlib.new(algorithm)
        read = 0
        try:
            with self._zip.open(member.info) as content:
                while piece := content.read(_CHUNK_BYTES):
                    read += len(piece)
                    if read > member.info.file_size:
                        raise self._refused(f"{name!r} is longer than it says")
                    digest.update(piece)
                    yield piece
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise self._refused(f"{name!r} is damaged") from error
        if digest.digest() != expected or (size is not None and size != read):
            raise self._refused(f"{name!r} is not what RECORD says")

    def _plain_entries(self) -> dict[str, zipfile.ZipInfo]:
        entries: dict[str, zipfile.ZipInfo] = {}
        seen: set[str] = set()
        for info in self._zip.infolist():
            name = info.orig_filename
            self._require_plain(name, info)
            if name.rstrip("/") in seen:
                raise self._refused(f"it holds {name!r} twice")
            seen.add(name.rstrip("/"))
            if not name.endswith("/"):
                entries[name] = info
        if len(seen) > MAX_FILES:
            raise self._refused(f"it holds more than {MAX_FILES} files")
        if sum(info.file_size for info in entries.values()) > MAX_BYTES:
            raise self._refused(f"it would need more than {MAX_BYTES} bytes unpacked")
        if sum(info.compress_size for info in entries.values()) > self._size:
            raise self._refused("its files overlap each other")
        return entries

    def _require_plain(self, name: str, info: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        parts = name.removesuffix("/").split("/")
        if not name.isprintable() or "\\" in name or {"", ".", ".."} & set(parts):
            raise self._refused(f"it holds a file at {name!r}, which is no plain relative path")
        if (
            len(name.encode()) > _MAX_PATH_BYTES
            or len(max(parts, key=len).encode()) > _MAX_NAME_BYTES
        ):
            raise self._refused(f"the path {name[:60]!r}… is too long")
        if kind not in ({0, stat.S_IFDIR} if name.endswith("/") else {0, stat.S_IFREG}):
            raise self._refused(f"{name!r} is a link or a special file")
        if info.flag_bits & _ENCRYPTED:
            raise self._refused(f"{name!r} is encrypted")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise self._refused(f"{name!r} is compressed in an unusual way")
        if info.file_size > MAX_FILE_BYTES:
            raise self._refused(f"{name!r} has more than {MAX_FILE_BYTES} bytes")
        if info.file_size > max(_RATIO_COUNTS_FROM_BYTES, info.compress_size * _MAX_RATIO):
            raise self._refused(f"{name!r} would grow more than {_MAX_RATIO} times")

    def _metadata_folder(self) -> str:
        found = {name.partition("/")[0] for name in self._entries}
        folders = [name for name in found if name.endswith(".dist-info")]
        if len(folders) != 1 or normal(folders[0].removesuffix(".dist-info")) != normal(self._stem):
            raise self._refused(f"it needs one folder {self._stem}.dist-info, and no other such")
        return folders[0]

    def _read_record(self) -> dict[str, tuple[str, str]]:
        """By name of the member: hash, size."""
        info = self._entries.get(f"{self._info}/RECORD")
        if info is None or info.file_size > _MAX_METADATA_BYTES:
            raise self._refused("it has no RECORD of its files")
        try:
            lines = csv.reader(io.StringIO(self._zip.read(info).decode()))
            record = {line[0]: (line[1], line[2]) for line in lines if line}
        except (ValueError, IndexError, csv.Error, zipfile.BadZipFile, zlib.error) as error:
            raise self._refused("its RECORD cannot be read") from error
        gone = set(record) - set(self._entries)
        if gone:
            raise self._refused(f"RECORD names {min(gone)!r}, which it does not hold")
        return record

    def _record_of(self, name: str) -> tuple[str, bytes, int | None]:
        digest, size = self._record.get(name, ("", ""))
        algorithm, _, encoded = digest.partition("=")
        if algorithm not in _HASHES or not (size.isdecimal() or not size):
            raise self._refused(f"RECORD has no usable hash of {name!r}")
        try:
            expected = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError as error:
            raise self._refused(f"RECORD has no usable hash of {name!r}") from error
        return algorithm, expected, int(size) if size else None

    def _target(self, name: str) -> str | None:
        """``None`` for what is left out."""
        folder, _, rest = name.partition("/")
        if folder.endswith(".data") and rest:
            kind, _, name = rest.partition("/")
            if kind not in _MERGED or not name:
                return None
        if name in {f"{self._info}/{unsigned}" for unsigned in _UNSIGNED}:
            return None
        if name.endswith((".pyc", ".pyo")) or "__pycache__" in name.split("/"):
            return None
        if name.endswith(".pth"):
            return None
        return name

    def _refused(self, reason: str) -> Refused:
        return Refused(f"The wheel {self._filename} is refused: {reason}.")
