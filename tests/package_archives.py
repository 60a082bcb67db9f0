"""Wheels and source packages, made by hand and the same each time."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence


def a_wheel(
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
    requires_python: str = "",
    metadata: str = "",
    pure: bool = True,
    entry_points: str = "",
    members: Sequence[tuple[zipfile.ZipInfo, bytes]] = (),
) -> bytes:
    """A wheel whose module is called like the package, unless ``files`` says otherwise.

    ``members`` go in as they are: for what no honest tool would write.
    """
    module = name.replace("-", "_").lower()
    info = f"{module}-{version}.dist-info"
    content = dict(files if files is not None else {f"{module}.py": f"VERSION = {version!r}\n"})
    content[f"{info}/METADATA"] = metadata or "\n".join(
        [
            *("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"),
            *(f"Requires-Dist: {needed}" for needed in requires),
            *((f"Requires-Python: {requires_python}",) if requires_python else ()),
            "",
        ]
    )
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {str(pure).lower()}\n"
        "Tag: py3-none-any\n"
    )
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points
    content[f"{info}/RECORD"] = "".join(
        f"{path},{_record_hash(text)},{len(text.encode())}\n" for path, text in content.items()
    ) + (f"{info}/RECORD,,\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
        for member, data in members:
            archive.writestr(member, data)
    return packed.getvalue()


def wheel_name(name: str, version: str = "1.0", tag: str = "py3-none-any") -> str:
    return f"{name.replace('-', '_').lower()}-{version}-{tag}.whl"


def an_sdist(name: str, version: str = "1.0", *, setup: str) -> bytes:
    """``setup`` is what a build would run."""
    root = f"{name}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {f"{root}/setup.py": setup, f"{root}/PKG-INFO": metadata}.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _record_hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"
