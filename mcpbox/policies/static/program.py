"""A tool's code, read once: its nodes by kind, what its names stand for, where values go."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from mcpbox.domain.errors import Problem
from mcpbox.domain.parsing import parse

_DOTS_FOLLOWED = 8
_PASSES = 10
_MAX_FLOWS = 10_000
_NEWLINE = re.compile(r"\r\n|\r|\n")
_CLIENTS = frozenset({"http.AsyncClient", "http.Client", "httpx.AsyncClient", "httpx.Client"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Origin(StrEnum):
    """Where a value may come from."""

    ARGUMENT = "argument"
    SECRET = "secret"  # noqa: S105 - a word
    ANSWER = "answer"
    """Of another server."""


class Place(NamedTuple):
    line: int
    column: int


class Program:
    """Names are taken for the whole module, not by scope: more is suspected than is so, never less.

    Every list is in source order.
    """

    def __init__(self, code: str, tree: ast.Module) -> None:
        self.code = code
        self._lines = None if code.isascii() else [line.encode() for line in _NEWLINE.split(code)]
        self.tree = tree
        self.nodes = list(ast.walk(tree))
        self.imports: dict[str, str] = {}
        """Name in the code: full name of what was imported under it."""
        self.calls: list[ast.Call] = []
        self.strings: list[ast.Constant] = []
        """Docstrings are not among them."""
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.clients = {"http", "httpx"}
        """Names that an HTTP client stands behind."""
        self._bindings: list[tuple[str, ast.expr]] = []
        """Every name that is given a value, and the value."""
        self._read()
        self._constants = self._constant_names()
        self._origins = self._spread()

    @staticmethod
    def of(code: str) -> "Program | Problem":
        tree = parse(code)
        return tree if isinstance(tree, Problem) else Program(code, tree)

    def place(self, node: ast.AST) -> Place:
        """The parser counts columns in bytes; people count characters."""
        line: int = getattr(node, "lineno", 1)
        column: int = getattr(node, "col_offset", 0)
        if self._lines is not None and line <= len(self._lines):
            column = len(self._lines[line - 1][:column].decode(errors="ignore"))
        return Place(line, column + 1)

    def full_name(self, node: ast.expr) -> str:
        """``json.loads``, whatever it was imported as; empty where it is no plain dotted name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < _DOTS_FOLLOWED:
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    def constant(self, node: ast.expr) -> str | None:
        """The text it always is."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self._constants.get(name)
            case _:
                return None

    def origins(self, node: ast.AST) -> set[Origin]:
        """Where what it is made of may come from."""
        names, found = self._made_of(node)
        return found.union(*(self._origins[name] for name in names if name in self._origins))

    def is_request(self, call: ast.Call) -> bool:
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method):
                return name in self.clients and method in REQUEST_METHODS
            case _:
                return False

    def _made_of(self, node: ast.AST) -> tuple[set[str], set[Origin]]:
        """Names in it, and where the rest of it comes from."""
        names: set[str] = set()
        found: set[Origin] = set()
        for inner in ast.walk(node):
            match inner:
                case ast.Name(id="secrets"):
                    found.add(Origin.SECRET)
                case ast.Name(id=name):
                    names.add(name)
                case ast.Call() if self.is_request(inner):
                    found.add(Origin.ANSWER)
                case _:
                    pass
        return names, found

    def _read(self) -> None:
        docstrings = {id(text) for node in self.nodes if (text := _docstring(node))}
        for node in self.nodes:
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        whole = alias.name if alias.asname else alias.name.partition(".")[0]
                        self.imports[alias.asname or whole] = whole
                case ast.ImportFrom(module=str(module), names=names):
                    for alias in names:
                        self.imports[alias.asname or alias.name] = f"{module}.{alias.name}"
                case ast.Call():
                    self.calls.append(node)
                case ast.Constant(value=str() | bytes()) if id(node) not in docstrings:
                    self.strings.append(node)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.functions[node.name] = node
                case _:
                    self._bindings += _bound_by(node)
        self._find_clients()
        self.calls.sort(key=_in_source)
        self.strings.sort(key=_in_source)

    def _find_clients(self) -> None:
        for name, value in self._bindings:
            made = value.func if isinstance(value, ast.Call) else value
            if self.full_name(made) in _CLIENTS | {"http", "httpx"}:
                self.clients.add(name)

    def _constant_names(self) -> dict[str, str]:
        """Of names that are given one value only, in the whole module."""
        values: dict[str, list[ast.expr]] = defaultdict(list)
        for name, value in self._bindings:
            values[name].append(value)
        return {
            name: value.value
            for name, given in values.items()
            if len(given) == 1
            and isinstance(value := given[0], ast.Constant)
            and isinstance(value.value, str)
        }

    def _spread(self) -> dict[str, set[Origin]]:
        origins: dict[str, set[Origin]] = defaultdict(set)
        main = self.functions.get("main")
        for name in _parameters(main) if main else ():
            origins[name].add(Origin.ARGUMENT)
        known: dict[int, tuple[set[str], set[Origin]]] = {}
        flows = [*self._bindings, *self._given_to_functions()]
        if len(flows) > _MAX_FLOWS:  # too much to follow, so everything is suspected
            origins.update((name, set(Origin)) for name, _ in flows)
            return origins
        for _, value in flows:
            if id(value) not in known:
                known[id(value)] = self._made_of(value)
        for _ in range(_PASSES):
            spread = False
            for name, value in flows:
                names, direct = known[id(value)]
                new = direct.union(*(origins[n] for n in names if n in origins)) - origins[name]
                if new:
                    origins[name] |= new
                    spread = True
            if not spread:
                break
        return origins

    def _given_to_functions(self) -> Iterator[tuple[str, ast.expr]]:
        for call in self.calls:
            if isinstance(call.func, ast.Name) and call.func.id in self.functions:
                parameters = _parameters(self.functions[call.func.id])
                yield from zip(parameters, call.args, strict=False)
                for keyword in call.keywords:
                    if keyword.arg is not None:
                        yield keyword.arg, keyword.value


REQUEST_METHODS = frozenset(
    {"delete", "get", "head", "options", "patch", "post", "put", "request", "stream"}
)


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What runs as part of it: not the functions that are only defined there."""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        child = waiting.pop()
        yield child
        if not isinstance(child, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(child)


def _in_source(node: ast.expr) -> tuple[int, int]:
    """In bytes: to count characters for every node would take the square of a long line."""
    return node.lineno, node.col_offset


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    rest = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *rest)]


def _bound_by(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((name, value) for target in targets for name in _names(target))
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from ((name, value) for name in _names(target))
        case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
            yield from ((name, value) for name in _names(target))
        case (
            ast.For(target=target, iter=value)
            | ast.AsyncFor(target=target, iter=value)
            | ast.comprehension(target=target, iter=value)
        ):
            # Once for the loop, once more because it is another value each time.
            yield from ((name, value) for name in _names(target) for _ in range(2))
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield from ((name, value) for name in _names(target))
        case _:
            pass


def _names(target: ast.AST) -> Iterable[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str()) as text), *_]:
            return text
        case _:
            return None
