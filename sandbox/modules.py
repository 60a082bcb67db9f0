"""Which modules a tool may import without a grant, and which of their parts stay out."""

from sandbox.words import words

BASE_MODULES = frozenset(
    words("""
    __future__ abc array ast asyncio base64 binascii bisect calendar cmath collections colorsys
    configparser contextlib copy csv dataclasses datetime decimal difflib email enum fnmatch
    fractions functools graphlib gzip hashlib heapq hmac html http httpx io ipaddress itertools json
    keyword locale logging math mimetypes numbers operator pathlib pprint pydantic queue quopri
    random re reprlib secrets statistics string stringprep struct textwrap time token tokenize
    tomllib traceback types typing typing_extensions unicodedata urllib uuid warnings weakref xml
    zlib zoneinfo
""")
)

DENIED_SUBMODULES = frozenset(
    words("""
    asyncio.base_subprocess asyncio.sslproto asyncio.subprocess asyncio.threads
    asyncio.unix_events http.client
    http.server json.tool logging.config logging.handlers pathlib.types pydantic.deprecated
    pydantic.mypy pydantic.plugin pydantic.tools pydantic.utils pydantic.v1 urllib.request
    xml.sax.expatreader
""")
)

PUBLIC_SUBMODULES = frozenset(
    words("""
    collections.abc concurrent.futures email.message email.mime email.mime.multipart
    email.mime.text email.utils html.entities html.parser http.cookies json.decoder
    pydantic.dataclasses urllib.parse xml.dom xml.dom.minidom xml.etree xml.etree.ElementTree
    xml.parsers
""")
)
"""Modules that may be reached as an attribute of another one."""

_PATH_SYNTAX = frozenset(
    words("""
    altsep basename commonpath commonprefix curdir defpath devnull dirname extsep isabs isreserved
    join normcase normpath pardir pathsep sep split splitdrive splitext splitroot
""")
)
VISIBLE_NAMES = {
    "ntpath": _PATH_SYNTAX,
    "pathlib": frozenset({"PurePath", "PurePosixPath", "PureWindowsPath"}),
    "posixpath": _PATH_SYNTAX,
}
"""Where most of a module reaches files, only these names of it are there."""

HIDDEN_NAMES = {
    "asyncio": frozenset(
        words("""
        create_subprocess_exec create_subprocess_shell open_connection open_unix_connection
        start_server start_unix_server to_thread
    """)
    ),
    "io": frozenset({"FileIO", "open", "open_code"}),
    "logging": frozenset({"FileHandler", "currentframe"}),
    "mimetypes": frozenset({"MimeTypes", "read_mime_types"}),
    "operator": frozenset({"attrgetter", "methodcaller"}),
    "pydantic": frozenset({"ImportString", "import_module"}),
    "pydantic.types": frozenset({"ImportString"}),
    "string": frozenset({"Formatter"}),
    "tokenize": frozenset({"open"}),
    "traceback": frozenset(
        {"FrameSummary", "StackSummary", "extract_stack", "walk_stack", "walk_tb"}
    ),
    "types": frozenset({"CodeType"}),
    "typing": frozenset({"ForwardRef", "evaluate_forward_ref", "get_type_hints"}),
    "typing_extensions": frozenset(
        {"ForwardRef", "evaluate_forward_ref", "get_annotations", "get_type_hints"}
    ),
    "warnings": frozenset({"formatwarning", "showwarning", "warn_explicit"}),
    "zoneinfo": frozenset({"reset_tzpath"}),
}
"""Public names that lead to files, frames or code; the boundary does not rest on hiding them."""

IMPLICIT_MODULES = frozenset({"_strptime"})
"""Imported by C code through the tool's own ``__import__``."""


def is_allowed(module: str, granted: frozenset[str]) -> bool:
    top = module.partition(".")[0]
    return not ({top, module}.isdisjoint(BASE_MODULES | granted))


def is_hidden(full: str) -> bool:
    """``full``: a module's name, a dot, one of its names."""
    module, _, name = full.rpartition(".")
    if module in VISIBLE_NAMES:
        return name not in VISIBLE_NAMES[module]
    return name in HIDDEN_NAMES.get(module, ())


def is_denied_submodule(module: str) -> bool:
    """Private parts too: that is where modules keep what leads elsewhere."""
    top, *parts = module.split(".")
    if top in BASE_MODULES and any(p.startswith("_") and not p.endswith("__") for p in parts):
        return True
    return any(module == name or module.startswith(f"{name}.") for name in DENIED_SUBMODULES)
