"""Third-party Python modules: what is asked for, what it resolved to, what is known about it."""

import hashlib
import json
import keyword
import re
from datetime import datetime
from typing import Annotated, Generic, NamedTuple, Self, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import Field, field_validator, model_validator

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Invalid
from mcpbox.domain.ids import Digest, RequestId

T = TypeVar("T")

WHEELS_MAX = 60
WHEELS_MAX_BYTES = 200 * 2**20
"""Of all wheels of one lock together."""

_NAME_MAX_LENGTH = 100
_SPECIFIER_MAX_LENGTH = 200
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Requirement(DomainModel):
    """A module that code may import, and the package it comes from. Raises: Invalid.

    Brought into its normal form: equal wishes are equal values, whoever spelled them.
    """

    module: str
    """Top-level import name, ``dateutil``."""
    package: str
    """Name in the index, ``python-dateutil``. Source: PEP 508 and 503."""
    specifier: str = ""
    """``<3,>=2.8``; empty means any version. Source: PEP 440."""

    @field_validator("module")
    @classmethod
    def _importable(cls, name: str) -> str:
        if len(name) > _NAME_MAX_LENGTH or not (name.isascii() and name.isidentifier()):
            raise Invalid(
                f"{name[:_NAME_MAX_LENGTH]!r} is not the name of a module; give the first word "
                "after 'import', such as dateutil."
            )
        if keyword.iskeyword(name):
            raise Invalid(f"{name!r} is a word of Python itself and cannot be imported.")
        return name

    @field_validator("package")
    @classmethod
    def _normal_package(cls, name: str) -> str:
        if len(name) > _NAME_MAX_LENGTH or not _PACKAGE.fullmatch(name):
            raise Invalid(
                f"{name[:_NAME_MAX_LENGTH]!r} is not the name of a package; give it as in the "
                "package index, such as python-dateutil, without extras, version or address."
            )
        return canonicalize_name(name)

    @field_validator("specifier")
    @classmethod
    def _normal_specifier(cls, text: str) -> str:
        if len(text) > _SPECIFIER_MAX_LENGTH or "===" in text:
            raise Invalid("A version specifier has at most 200 characters, and no '==='.")
        try:
            return str(SpecifierSet(text))
        except InvalidSpecifier as error:
            raise Invalid(
                f"{text!r} is not a version specifier; write for instance ==2.9.0, or >=2.8,<3."
            ) from error

    def __str__(self) -> str:
        return f"{self.package}{self.specifier}"

    @property
    def beside_module(self) -> str:
        """What is said beside the name of the module, without saying that twice."""
        return "any version" if str(self) == self.module else str(self)


class PinnedWheel(DomainModel):
    package: str
    """In its normal form."""
    version: str
    filename: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl$", max_length=250)
    sha256: Sha256
    size: int = Field(ge=1)
    """In bytes."""
    url: str
    """Where the index says it is; not a part of the digest."""

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class WheelLock(DomainModel):
    """All wheels that a server's granted modules need together: one module set."""

    requirements: tuple[Requirement, ...]
    wheels: tuple[PinnedWheel, ...]
    """Sorted by file name."""
    python: str
    """``3.11``: what the wheels were chosen for."""
    platform: str
    """``linux-x86_64``."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        names = [wheel.filename for wheel in self.wheels]
        if names != sorted(set(names)):
            raise ValueError("the wheels must be sorted by file name, without repeats")
        return self

    @property
    def digest(self) -> Digest:
        """Of the wheels alone, so equal content is an equal digest.

        Compatibility rule: the same as ``sandbox.contract.ModuleSet.key``.
        """
        wheels = [wheel.model_dump(include={"filename", "sha256", "size"}) for wheel in self.wheels]
        text = json.dumps({"wheels": wheels}, sort_keys=True, separators=(",", ":"))
        return Digest(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")

    @property
    def total_bytes(self) -> int:
        return sum(wheel.size for wheel in self.wheels)

    def changes_since(self, before: "WheelLock | None") -> "LockChanges":
        old = {wheel.package: wheel for wheel in before.wheels} if before else {}
        now = {wheel.package for wheel in self.wheels}
        pairs = [(old.get(wheel.package), wheel) for wheel in self.wheels]
        return LockChanges(
            added=[wheel for earlier, wheel in pairs if earlier is None],
            replaced=[
                (earlier, wheel)
                for earlier, wheel in pairs
                if earlier is not None and earlier.sha256 != wheel.sha256
            ],
            removed=[wheel for wheel in old.values() if wheel.package not in now],
            kept=[
                wheel
                for earlier, wheel in pairs
                if earlier is not None and earlier.sha256 == wheel.sha256
            ],
        )


class LockChanges(NamedTuple):
    """Each in the order of its lock."""

    added: list[PinnedWheel]
    replaced: list[tuple[PinnedWheel, PinnedWheel]]
    """Before and after."""
    removed: list[PinnedWheel]
    kept: list[PinnedWheel]


class GrantedModule(Requirement):
    """What a server's tools may import, and how it came to that."""

    version: str
    """Of the package, as installed."""
    request_id: RequestId
    """That first granted it."""
    requester: str
    granted_by: str
    granted_at: datetime


class WheelContents(DomainModel):
    """What one wheel holds, as read without running any of it."""

    package: str
    version: str
    modules: tuple[str, ...]
    """Top-level import names that it offers, sorted."""
    native: bool
    """Holds machine code, which no check of ours can read."""
    scripts: tuple[str, ...]
    """Commands that an installer would make; we make none."""
    pth_files: tuple[str, ...]
    """Would run code at every start of Python; we leave them out."""
    file_count: int
    unpacked_bytes: int
    requires_python: str

    @property
    def sentence(self) -> str:
        offers = ", ".join(self.modules) or "nothing to import"
        parts = [
            f"Offers {offers}",
            f"native code: {'yes' if self.native else 'no'}",
            f"{self.file_count} {'file' if self.file_count == 1 else 'files'}",
            f"{self.unpacked_bytes:,} bytes unpacked",
        ]
        if self.pth_files:
            parts.append(f".pth files: {', '.join(self.pth_files)}")
        return "; ".join(parts) + "."


class PackageFacts(DomainModel):
    """What the index's operator says of a package and of one of its versions."""

    package: str
    version: str
    summary: str
    license: str
    home_page: str
    author: str
    first_released_at: datetime | None
    """Of the package; ``None`` where the index does not say."""
    released_at: datetime | None
    """Of this version."""
    release_count: int | None
    yanked: bool
    yanked_reason: str
    requires_python: str
    latest_version: str


class Vulnerability(DomainModel):
    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: str
    """A word such as ``high``, else a CVSS vector, else empty: nobody rated it."""
    fixed_in: tuple[str, ...]
    """Versions of the package; empty where no fix is known."""
    package: str
    version: str


class Checked(DomainModel, Generic[T]):
    """A value, or why there is none: what could not be asked never reads as clean."""

    value: T | None = None
    not_checked: str = ""
    """The reason, in words for a reviewer; empty exactly when there is a value."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) != bool(self.not_checked):
            raise ValueError("needs either a value or the reason why there is none")
        return self


def require_offered(
    requirements: tuple[Requirement, ...], found: tuple[WheelContents, ...]
) -> None:
    """Raises: Invalid: no wheel of the set offers a module that was asked for."""
    offered = {module for contents in found for module in contents.modules}
    for wanted in requirements:
        if wanted.module in offered:
            continue
        own = next((c.modules for c in found if c.package == wanted.package), ())
        raise Invalid(
            f"The package {wanted.package} offers {', '.join(own) or 'no module'}; not "
            f"{wanted.module}. Ask for a module that it offers, or name another package."
        )
