"""Compiled modules that are valid without looking at their source again.

Source: PEP 552, hash-based unchecked ``.pyc`` files.
"""

import importlib.util
import marshal

_NOT_FOR_THIS_PYTHON = (
    *(SyntaxError, ValueError, LookupError, ImportError),  # as its encoding may be, too
    *(RecursionError, MemoryError, OverflowError),
)
_UNCHECKED_HASH = (1).to_bytes(4, "little")


def compiled(source: bytes, path: str) -> tuple[str, bytes] | None:
    """Where it belongs and what it is; ``None`` for source that this Python does not read."""
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        data = marshal.dumps(code)
    except _NOT_FOR_THIS_PYTHON:
        return None
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return importlib.util.cache_from_source(path), head + data
