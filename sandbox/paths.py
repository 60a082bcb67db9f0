"""Whether a URL's path lies below a granted prefix, however a server may read it.

Servers disagree on encoded separators, dot segments, parameters and doubled slashes. Whatever two
of them could read differently is refused, not interpreted.
"""

import unicodedata
from urllib.parse import unquote_to_bytes

import httpx

Prefix = tuple[str, ...]
"""Segments, percent-encoded as httpx writes them; empty means every path."""

_READ_DIFFERENTLY = frozenset("\\;?#%")


def prefix_of(text: str) -> Prefix:
    """``/v1/items`` as segments. Raises: ValueError: fit to be shown."""
    try:
        url = httpx.URL(f"https://host{text}")
        path = url.raw_path.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        path = ""
    is_plain = text.startswith("/") and path.count("/") == text.count("/")
    if not is_plain or {"?", "#", "*"} & set(text):
        raise ValueError(f"{text!r} is no path prefix: use `/one/or/more/segments`")
    if is_ambiguous(path):
        raise ValueError(f"the path prefix {text!r} could be read in more than one way")
    return tuple(path.strip("/").split("/")) if path != "/" else ()


def path_of(url: httpx.URL) -> str:
    return url.raw_path.partition(b"?")[0].decode("ascii")


def is_below(path: str, prefix: Prefix) -> bool:
    """On whole segments: ``/v10`` is not below ``/v1``. Asks for the spelling of the grant."""
    return tuple(path.split("/")[1 : len(prefix) + 1]) == prefix


def is_ambiguous(path: str) -> bool:
    """``path``: percent-encoded."""
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:  # overlong forms of a dot or a slash among them
        return True
    # A full-width dot or slash is a plain one to servers that normalise.
    text = unicodedata.normalize("NFKC", decoded)
    if text.count("/") != path.count("/") or not _READ_DIFFERENTLY.isdisjoint(text):
        return True
    if any(unicodedata.category(character) in {"Cc", "Cf"} for character in text):
        return True
    *inner, last = text.split("/")[1:] or [""]
    # Some file systems drop trailing dots and spaces, so `.. .` may be `..`.
    return not all(map(_is_plain, inner)) or (last != "" and not _is_plain(last))


def _is_plain(segment: str) -> bool:
    return bool(segment.strip(". "))
