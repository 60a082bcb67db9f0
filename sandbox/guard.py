"""Reads a tool's source and says early what will not work, and what to do instead.

Defence in depth, and clear messages; never the boundary.
"""

import ast
import re
import warnings
from typing import NamedTuple

from sandbox.modules import BASE_MODULES, is_allowed, is_denied_submodule, is_hidden
from sandbox.suggestions import (
    INTERNALS,
    instead_of_attribute,
    instead_of_builtin,
    instead_of_module,
    instead_of_part,
)
from sandbox.words import words

MAX_SOURCE_CHARACTERS = 256 * 1024
_MAX_DEPTH = 120
_TOP_LEVEL = 2
_MAX_FINDINGS = 100
_MAX_SHOWN = 80
_MAX_DOTS = 1000
_DOTTED_NAME = re.compile(r"\b\w++(?:[\s\\]*+\.[\s\\]*+\w++)++")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_CLIENT_CALLS = frozenset(words("delete get head options patch post put request stream"))

_DENIED_NAMES = frozenset(
    words("""
    __build_class__ __builtins__ __debug_ __import__ __loader__ __spec__ breakpoint compile
    copyright credits eval exec exit globals help input license locals memoryview_ open quit
""")
)

_DENIED_ATTRIBUTES = frozenset(
    words("""
    ag_await ag_code ag_frame co_code co_consts cr_await cr_code cr_frame cr_origin ctypes f_back
    f_builtins f_code f_globals f_locals func_code func_globals gi_code gi_frame gi_yieldfrom mro
    run_in_executor subprocess_exec subprocess_shell tb_frame tb_next
""")
)

_ALLOWED_DUNDERS = frozenset(
    words("""
    __abs__ __add__ __aenter__ __aexit__ __aiter__ __and__ __anext__ __annotations__ __await__
    __bool__ __bytes__ __call__ __cause__ __class__ __class_getitem__ __contains__ __context__
    __dataclass_fields__ __delattr__ __delitem__ __dict__ __divmod__ __doc__ __enter__ __eq__
    __exit__ __fields__ __float__ __floordiv__ __format__ __ge__ __get__ __getattr__ __getitem__
    __gt__ __hash__ __iadd__ __imul__ __index__ __init__ __init_subclass__ __int__ __invert__
    __isub__ __iter__ __le__ __len__ __lshift__ __lt__ __match_args__ __matmul__ __members__
    __missing__ __mod__ __module__ __mul__ __name__ __ne__ __neg__ __new__ __next__ __notes__ __or__
    __pos__ __post_init__ __pow__ __pydantic_init_subclass__ __qualname__ __radd__ __repr__
    __reversed__ __rmul__ __ror__ __round__ __rshift__ __rsub__ __set__ __set_name__ __setattr__
    __setitem__ __sizeof__ __slots__ __str__ __sub__ __total_ordering__ __truediv__ __version__
    __wrapped__ __xor__
""")
)

_DENIED_STRINGS = frozenset(
    words("""
    __base__ __bases__ __builtins__ __closure__ __code__ __func__ __getattribute__ __globals__
    __import__ __loader__ __mro__ __reduce__ __reduce_ex__ __self__ __subclasses__
""")
)


class Finding(NamedTuple):
    line: int
    column: int
    """From 1, as editors count."""
    message: str


def check(source: str, granted: frozenset[str] = frozenset()) -> list[Finding]:
    """All findings in source order; empty means the code passes.

    Run it in a child: hostile source can crash the parser itself.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        return [Finding(1, 1, f"The code is longer than {MAX_SOURCE_CHARACTERS} characters.")]
    if has_endless_name(source):
        return [Finding(1, 1, f"The code has a dotted name of more than {_MAX_DOTS} parts.")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, "<tool>")
    except SyntaxError as error:
        return [Finding(*_place_of(error, source), f"Syntax error: {error.msg}.")]
    except (ValueError, RecursionError, MemoryError):
        return [Finding(1, 1, "The code cannot be parsed: it is nested too deeply, or not text.")]
    visitor = _Visitor(granted)
    visitor.visit(tree)
    visitor.add_parts()
    return _in_characters(sorted(set(visitor.findings))[:_MAX_FINDINGS], source)


def _place_of(error: SyntaxError, source: str) -> tuple[int, int]:
    """After a backslash, Python counts columns on from the line before."""
    line = max(error.lineno or 1, 1)
    text = source.split("\n")[line - 1 : line]
    return line, min(max(error.offset or 1, 1), len(text[0]) + 1 if text else 1)


def has_endless_name(source: str) -> bool:
    """Parsing an import takes the square of its name's length: seconds for a hostile one."""
    return any(found.group().count(".") > _MAX_DOTS for found in _DOTTED_NAME.finditer(source))


def _in_characters(findings: list[Finding], source: str) -> list[Finding]:
    """The parser counts columns in bytes."""
    if source.isascii() or not findings:
        return findings
    lines = [line.encode() for line in _NEWLINE.split(source)]
    return [
        one._replace(column=len(lines[one.line - 1][: one.column - 1].decode(errors="ignore")) + 1)
        for one in findings
    ]


def is_internal_attribute(name: str) -> bool:
    dunder = name.startswith("__") and name.endswith("__")
    return name in _DENIED_ATTRIBUTES or (dunder and name not in _ALLOWED_DUNDERS)


class _Visitor(ast.NodeVisitor):
    def __init__(self, granted: frozenset[str]) -> None:
        self.findings: list[Finding] = []
        self._granted = granted
        self._depth = 0
        self._place = (1, 1)
        self._inside_string = False
        self._imported: dict[str, str] = {}
        """Name in the code: full name of what was imported under it."""
        self._hidden_globals: set[str] = set()
        """What every tool is given, and this one imports a module of the same name over it."""
        self._parts: list[tuple[tuple[int, int], str, str]] = []
        """Place, name in the code, and what is read from it."""

    def add_parts(self) -> None:
        """Last, as a function may use what is imported below it."""
        for place, name, rest in self._parts:
            self._place = place
            if name in self._hidden_globals and (rest == "[]" or rest in _CLIENT_CALLS):
                self._add(
                    f"`{name}` is the module here, not what every tool is given under this name; "
                    f"leave the import out, or write `import {name} as {name}_module`."
                )
            elif name in self._imported:
                full = f"{self._imported[name]}.{rest}"
                if is_hidden(full) or is_denied_submodule(full):
                    self._add_unavailable(full)

    def visit(self, node: ast.AST) -> None:
        """Nothing is deeper than the limit, so this recursion ends long before Python's."""
        if self._depth > _MAX_DEPTH:
            self._add("The code is nested too deeply; split it into functions.")
            return
        outside = self._place
        line: int | None = getattr(node, "lineno", None)
        if line is not None and not self._inside_string:
            self._place = (line, getattr(node, "col_offset", 0) + 1)
        self._depth += 1
        super().visit(node)
        self._depth -= 1
        self._place = outside

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if self._check_module(alias.name):
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                self._imported[alias.asname or whole] = whole
                if self._depth == _TOP_LEVEL and (alias.asname or whole) in {"http", "secrets"}:
                    self._hidden_globals.add(whole)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            self._add("Relative imports are not possible: a tool is one module.")
            return
        if not self._check_module(node.module):
            return
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if is_internal_attribute(alias.name):
                self._check_attribute(alias.name)
            elif is_hidden(full) or is_denied_submodule(full):
                self._add_unavailable(full)
            else:
                self._imported[alias.asname or alias.name] = full

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._check_attribute(node.attr)
        match node.value:
            case ast.Name(id=name):
                self._parts.append((self._place, name, node.attr))
            case ast.Attribute(value=ast.Name(id=name), attr=between):
                self._parts.append((self._place, name, f"{between}.{node.attr}"))
            case _:
                pass
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        match node:
            case ast.Subscript(value=ast.Name(id="secrets"), slice=ast.Constant(value=str())):
                self._parts.append((self._place, "secrets", "[]"))
            case _:
                pass
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _DENIED_NAMES:
            self._add(f"`{node.id}` is not available; {instead_of_builtin(node.id)}.")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:  # `case object(__class__=c)` reads attributes
            self._check_attribute(name)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value in _DENIED_STRINGS:
            self._add(f"The string {node.value!r} is not allowed; {INTERNALS}.")

    def visit_arg(self, node: ast.arg) -> None:
        self._check_annotation(node.annotation)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._check_annotation(node.annotation)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._check_annotation(node.returns)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._check_annotation(node.returns)
        self.generic_visit(node)

    def _check_annotation(self, annotation: ast.expr | None) -> None:
        """A string in an annotation is code that typing, pydantic and functools evaluate later."""
        if annotation is None:
            return
        outside = self._place
        for node in ast.walk(annotation):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._place = (node.lineno, node.col_offset + 1)
                self._check_string(node.value, whole=node is annotation)
        self._place = outside

    def _check_string(self, text: str, *, whole: bool) -> None:
        """A part of an annotation may be plain text, such as a value of ``Literal``."""
        try:
            parsed = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        if whole:
            self._inside_string = True
            self.visit(parsed)
            self._inside_string = False
        for node in ast.walk(parsed):
            if isinstance(node, ast.Attribute):
                self._check_attribute(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._check_string(node.value, whole=False)

    def _check_module(self, name: str) -> bool:
        if not is_allowed(name, self._granted) or is_denied_submodule(name):
            self._add_unavailable(name)
            return False
        return True

    def _check_attribute(self, name: str) -> None:
        if is_internal_attribute(name):
            self._add(f"Attribute `{name}` is not available; {instead_of_attribute(name)}.")

    def _add_unavailable(self, full: str) -> None:
        part = full.partition(".")[0] in BASE_MODULES
        instead = instead_of_part(full) if part else instead_of_module(full)
        self._add(f"`{_shortened(full)}` is not available; {instead}.")

    def _add(self, message: str) -> None:
        self.findings.append(Finding(*self._place, message))


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
