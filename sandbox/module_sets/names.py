"""Which import names a wheel may bring, and which stay those of Python and of the sandbox."""

import re
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES

from sandbox.words import words

PROVIDED_DISTRIBUTIONS = frozenset(
    words("""
    annotated-types anyio certifi h11 h2 hpack httpcore httpx hyperframe idna pydantic
    pydantic-core sniffio typing-extensions typing-inspection
""")
)
"""Packages that every fork server holds already: a wheel of one of them is left out."""

_OURS = frozenset(
    words("""
    __main__ annotated_types anyio certifi h11 h2 hpack httpcore httpx hyperframe idna mcpbox
    pydantic pydantic_core sandbox sitecustomize sniffio tool typing_extensions typing_inspection
    usercustomize
""")
)
_PYTHONS = sys.stdlib_module_names | set(sys.builtin_module_names)
_OF_THE_BUILD = "_sysconfigdata"
_SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES)
_SEPARATORS = re.compile(r"[-_.]+")


def normal(distribution: str) -> str:
    """Source: PEP 503."""
    return _SEPARATORS.sub("-", distribution).lower()


def is_reserved(name: str) -> bool:
    """Whether a module of this top-level name would stand in for one that others rely on."""
    return name in _PYTHONS or name in _OURS or name.startswith(_OF_THE_BUILD)


def top_level_name(path: str) -> str | None:
    """What ``path``, relative to the set's directory, adds to what can be imported."""
    top, _, rest = path.partition("/")
    if rest:
        return top if top.isidentifier() and module_suffix(path) else None
    suffix = module_suffix(path)
    name = top.removesuffix(suffix) if suffix else ""
    return name if name.isidentifier() else None


def top_level_names(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for path in paths if (name := top_level_name(path))}))


def module_suffix(path: str) -> str | None:
    """The longest that fits: ``.abi3.so`` ends in ``.so`` as well."""
    return max((s for s in _SUFFIXES if path.endswith(s)), key=len, default=None)
