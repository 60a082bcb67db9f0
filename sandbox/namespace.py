"""The names a tool sees: safe builtins, and modules reduced to their public names.

Defence in depth and clear errors; the boundary is the kernel's.
"""

import builtins
import importlib
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, NoReturn

from sandbox.disarm import disarm
from sandbox.guard import is_internal_attribute
from sandbox.modules import (
    BASE_MODULES,
    IMPLICIT_MODULES,
    PUBLIC_SUBMODULES,
    is_allowed,
    is_denied_submodule,
    is_hidden,
)
from sandbox.words import words

_SAFE_BUILTINS = words("""
    ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
    BufferError BytesWarning ConnectionError DeprecationWarning EOFError Ellipsis EncodingWarning
    Exception ExceptionGroup False FileNotFoundError FloatingPointError FutureWarning GeneratorExit
    IOError ImportError IndentationError IndexError KeyError KeyboardInterrupt LookupError
    MemoryError ModuleNotFoundError NameError None NotImplemented NotImplementedError OSError
    OverflowError PermissionError RecursionError ReferenceError RuntimeError RuntimeWarning
    StopAsyncIteration StopIteration SyntaxError SystemExit TabError TimeoutError True TypeError
    UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning ValueError
    Warning ZeroDivisionError __build_class__ abs aiter all anext any ascii bin bool bytearray bytes
    callable chr classmethod complex delattr dict dir divmod enumerate filter float format frozenset
    hasattr hash hex id int isinstance issubclass iter len list map max memoryview min next object
    oct ord pow print property range repr reversed round set setattr slice sorted staticmethod str
    sum super tuple type vars zip
""")


_NEVER = frozenset(
    map(
        id,
        (
            *(builtins.open, builtins.eval, builtins.exec, builtins.compile, builtins.__import__),
            *(importlib.import_module, operator.attrgetter, operator.methodcaller),
            *(types.CodeType, typing.ForwardRef, typing.get_type_hints),
        ),
    )
)
"""Not from any module: many import them for themselves, and so have them among their names."""


def safe_builtins(granted: frozenset[str]) -> dict[str, Any]:
    names = {name: getattr(builtins, name) for name in _SAFE_BUILTINS}
    names["__import__"] = _import_for(granted)
    names["getattr"] = _getattr
    names["open"] = _open
    return names


def prepare() -> None:
    """Make the views of all modules that need no grant, once, for every child to inherit."""
    disarm(_Views(frozenset()).of, _open)
    import_module = _import_for(frozenset())
    for name in (*BASE_MODULES, *PUBLIC_SUBMODULES):
        with suppress(ImportError):
            import_module(name)


def prepare_granted(name: str) -> None:
    """As :func:`prepare`, for a module of a set. Raises: whatever its code raises."""
    _import_for(frozenset({name}))(name)


def _import_for(granted: frozenset[str]) -> Callable[..., ModuleType]:
    views = _Views(granted)

    def import_module(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  as builtins.__import__
        locals: Mapping[str, object] | None = None,  # noqa: A002  as builtins.__import__
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level:
            raise ImportError("A tool is one module: relative imports are not possible.")
        if name not in IMPLICIT_MODULES and not is_allowed(name, granted):
            raise ImportError(f"Module {name!r} is not available to this tool.")
        for full in (name, *(f"{name}.{part}" for part in fromlist or ())):
            if is_denied_submodule(full):
                raise ImportError(f"Module {full!r} is not available to tools.")
        module = builtins.__import__(name, globals, locals, fromlist or (), level)
        if name in IMPLICIT_MODULES:
            return module
        if fromlist:
            for part in fromlist:
                views.attach_submodule(module, part)
            return views.of(module)
        return views.chain(name)

    return import_module


_views: dict[str, ModuleType] = {}
"""By full name; a child serves one call, so no other call sees what a tool does to them."""


class _Views:
    """One view per module: plain module objects, so ``isinstance`` and typing keep working."""

    def __init__(self, granted: frozenset[str]) -> None:
        self._granted = granted

    def of(self, module: ModuleType) -> ModuleType:
        known = _views.get(module.__name__)
        if known is not None:
            return known
        view = ModuleType(module.__name__, module.__doc__)
        _views[module.__name__] = view
        public = {name for name in vars(module) if not name.startswith("_")}
        for name in public | set(getattr(module, "__all__", ())):
            if not is_hidden(f"{module.__name__}.{name}"):
                self._copy(module, name, view)
        if "__version__" in vars(module):
            vars(view)["__version__"] = vars(module)["__version__"]
        for name in ("__loader__", "__spec__"):
            vars(view).pop(name, None)
        return view

    def chain(self, name: str) -> ModuleType:
        """``import a.b.c`` binds ``a``, and makes ``b`` and ``c`` reachable through it."""
        top, *rest = name.split(".")
        first = current = self.of(sys.modules[top])
        path = top
        for part in rest:
            path = f"{path}.{part}"
            below = self.of(sys.modules[path])
            vars(current)[part] = below
            current = below
        return first

    def attach_submodule(self, module: ModuleType, name: str) -> None:
        """``from email import message`` binds a submodule."""
        full = f"{module.__name__}.{name}"
        if full in sys.modules and self._is_public(full):
            vars(self.of(module))[name] = self.of(sys.modules[full])

    def _copy(self, module: ModuleType, name: str, view: ModuleType) -> None:
        try:
            value = getattr(module, name)
        except (AttributeError, ImportError):  # a part that comes with first use may not come
            return
        if id(value) in _NEVER:
            return
        if isinstance(value, ModuleType):
            full = f"{module.__name__}.{name}"
            if value.__name__ != full or not self._is_public(full):
                return
            value = self.of(value)
        vars(view)[name] = value

    def _is_public(self, full: str) -> bool:
        return full in PUBLIC_SUBMODULES or full.partition(".")[0] in self._granted


_real_getattr = builtins.getattr


def _getattr(target: object, name: str, *default: object) -> Any:
    if type(name) is not str:  # a subclass could change its mind between check and use
        raise TypeError("getattr(): the attribute name must be a plain str")
    if is_internal_attribute(name):
        raise AttributeError(f"attribute {name!r} is not available to tools")
    return _real_getattr(target, name, *default)


def _open(*_: object, **__: object) -> NoReturn:
    raise PermissionError("Tools have no file system; return the data from main() instead.")
