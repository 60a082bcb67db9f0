"""Parts of allowed libraries that would hand a tool whole modules, or code to run.

Done once, in the fork server; defence in depth, as the views of modules are.
"""

import importlib
import ntpath
import pathlib
import posixpath
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from sandbox.words import words

_READERS = words("""
    configparser http.cookiejar logging mimetypes netrc xml.dom.expatbuilder
    xml.etree.ElementTree
""")


def disarm(view_of: Callable[[ModuleType], ModuleType], refuse_open: Callable[..., object]) -> None:
    """``refuse_open``: in place of ``open()`` where a library opens files by name for a tool."""
    for name in _READERS:
        vars(importlib.import_module(name)).update(open=refuse_open)
    # It has an `open` of its own, for file objects.
    vars(importlib.import_module("gzip")).update(builtins=SimpleNamespace(open=refuse_open))
    _leave_paths_their_syntax({module: view_of(module) for module in (posixpath, ntpath)})
    _leave_pickles_unread()


def _leave_pickles_unread() -> None:
    """``BaseModel.parse_raw(…, allow_pickle=True)`` would run what it reads."""
    real = sys.modules.get("pickle")
    sys.modules["pickle"] = _no_pickle
    importlib.import_module("pydantic.deprecated.parse").__dict__["pickle"] = _no_pickle
    if real is None:
        del sys.modules["pickle"]
    else:
        sys.modules["pickle"] = real


def _leave_paths_their_syntax(views: dict[ModuleType, ModuleType]) -> None:
    """Every path holds the module that knows its syntax, and that one holds ``os``."""
    for module in (pathlib, sys.modules.get("pathlib._local")):
        if module is not None:  # they are compared by identity there
            vars(module).update(posixpath=views[posixpath], ntpath=views[ntpath])
    for path in (pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath):
        flavour: Any = vars(path).get("_flavour")
        holders: list[type] = [path] if flavour is None else [path, type(flavour)]
        for holder in holders:
            for name, value in list(vars(holder).items()):
                if isinstance(value, ModuleType) and value in views:
                    if holder is pathlib.PurePath:  # real paths are for code that is no tool's
                        setattr(pathlib.Path, name, value)
                    setattr(holder, name, views[value])


def _refuse_pickle(*_: object) -> NoReturn:
    raise ValueError("Tools cannot read pickles; use JSON.")


_no_pickle = ModuleType("pickle")
_no_pickle.__dict__["loads"] = _refuse_pickle
