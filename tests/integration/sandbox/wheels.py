"""Wheels made by hand: good ones, and such as no build tool would make."""

import base64
import hashlib
import importlib.util
import io
import stat
import zipfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.tags import sys_tags

from sandbox.contract import ModuleSet, Wheel


@dataclass
class Made:
    """A wheel as it is sent."""

    filename: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pin(self) -> Wheel:
        return Wheel(filename=self.filename, sha256=self.sha256, size=len(self.content))

    async def pieces(self) -> AsyncGenerator[bytes]:
        for start in range(0, len(self.content), 4096):
            yield self.content[start : start + 4096]


@dataclass
class Recipe:
    files: dict[str, bytes]
    name: str = "greet"
    tag: str = "py3-none-any"
    record: dict[str, str] = field(default_factory=dict[str, str])
    """Lines that differ from what is true, by file; empty leaves the line out."""
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    packing: int = zipfile.ZIP_DEFLATED

    def made(self) -> Made:
        info = f"{self.name}-1.0.dist-info"
        files = {
            **self.files,
            f"{info}/METADATA": f"Name: {self.name}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {self.tag}\n".encode(),
        }
        lines = {name: record_line(name, content) for name, content in files.items()}
        lines |= {name: record_line(name, to.encode()) for name, to in self.links.items()}
        lines = {**lines, f"{info}/RECORD": f"{info}/RECORD,,", **self.record}
        files[f"{info}/RECORD"] = "\n".join(filter(None, lines.values())).encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", self.packing) as wheel:
            for name, content in files.items():
                wheel.writestr(name, content)
            for name, to in self.links.items():
                link = zipfile.ZipInfo(name)
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                wheel.writestr(link, to)
        return Made(f"{self.name}-1.0-{self.tag}.whl", packed.getvalue())


def record_line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"


def pure(module: str, source: str) -> Made:
    """A wheel of one module."""
    return Recipe({f"{module}.py": source.encode()}, name=module).made()


def native() -> Made:
    """A package whose machine code is loaded by the first call of a function."""
    found = importlib.util.find_spec("markupsafe._speedups")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin)
    source = b"""
def escaped(text):
    from quick import _speedups
    return _speedups._escape_inner(text), _speedups.__file__.rpartition(".")[2]
"""
    files = {"quick/__init__.py": source, f"quick/{library.name}": library.read_bytes()}
    return Recipe(files, name="quick", tag=str(next(sys_tags()))).made()


def set_of(*wheels: Made) -> ModuleSet:
    pins = sorted((wheel.pin for wheel in wheels), key=lambda pin: pin.filename)
    return ModuleSet(wheels=tuple(pins))
