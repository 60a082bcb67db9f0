"""Reads a tool's source without running it: what is wrong, its schema, what it needs."""

import ast
import math
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from mcpbox.domain.errors import Problem
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.nesting import SCHEMA_MAX_DEPTH, nests_deeper_than
from mcpbox.domain.parsing import parse
from mcpbox.domain.sources import Parameter, SourceReport
from mcpbox.domain.texts import can_be_kept

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "None": "null",
}
_ARRAYS = {"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"}
_OBJECTS = {"dict", "Dict", "Mapping"}
_INTEGER_MAX = 2**63
_NOT_PLAIN = object()
_EXAMPLE = "async def main(city: str) -> dict: ..."


def read_source(code: str) -> SourceReport:
    """Everything that can be said without running the code; the guard's rules are not in it."""
    tree = parse(code)
    if isinstance(tree, Problem):
        return _unreadable(tree)
    try:
        return _report_on(tree)
    except RecursionError:
        return _broken(1, 1, "The code is nested too deeply; make it flatter.")


def _report_on(tree: ast.Module) -> SourceReport:
    main = _find_main(tree)
    if main is None:
        message = f"There is no function main; define one: {_EXAMPLE}"
        problem = Problem(line=1, column=1, message=message)
        return _report(has_main=False, problems=(problem,), manifest=_manifest_of(tree))
    if isinstance(main, ast.FunctionDef):
        problem = Problem(
            line=main.lineno,
            column=main.col_offset + 1,
            message="main must be asynchronous: write 'async def main'.",
        )
        return _report(has_main=True, problems=(problem,), manifest=_manifest_of(tree))
    problems = (*_signature_problems(main.args), *_yield_problems(main))
    parameters, schema = _schema_of(main)
    if nests_deeper_than(SCHEMA_MAX_DEPTH, schema):
        return _broken(
            main.lineno,
            main.col_offset + 1,
            "The annotations of main are nested too deeply; make them flatter.",
        )
    return _report(
        has_main=True,
        problems=problems,
        parameters=parameters,
        schema=schema,
        manifest=_manifest_of(tree),
    )


def _report(
    *,
    has_main: bool,
    problems: tuple[Problem, ...],
    parameters: tuple[Parameter, ...] = (),
    schema: dict[str, Any] | None = None,
    manifest: Manifest | None = None,
) -> SourceReport:
    return SourceReport(
        valid=not problems,
        has_main=has_main,
        problems=problems,
        parameters=parameters,
        input_schema=schema or {"type": "object", "properties": {}},
        manifest=manifest or Manifest(),
    )


def _broken(line: int, column: int, message: str) -> SourceReport:
    return _unreadable(Problem(line=line, column=column, message=message))


def _unreadable(problem: Problem) -> SourceReport:
    return _report(has_main=False, problems=(problem,)).model_copy(update={"readable": False})


def _find_main(tree: ast.Module) -> ast.AsyncFunctionDef | ast.FunctionDef | None:
    """The last one of the module's top level, since that is the one that would run."""
    found = [
        node
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name == "main"
    ]
    return found[-1] if found else None


def _signature_problems(arguments: ast.arguments) -> Iterator[Problem]:
    by_position = [*arguments.posonlyargs, *([arguments.vararg] if arguments.vararg else [])]
    for argument in by_position:
        yield Problem(
            line=argument.lineno,
            column=argument.col_offset + 1,
            message=f"main is called with named arguments only; make {argument.arg!r} a plain "
            "parameter.",
        )


def _yield_problems(main: ast.AsyncFunctionDef) -> Iterator[Problem]:
    """The first ``yield`` of its own; those of functions inside are theirs."""
    waiting: deque[ast.AST] = deque(main.body)
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.Yield):
            message = "main cannot yield: collect what it finds in a list, and return that."
            yield Problem(line=node.lineno, column=node.col_offset + 1, message=message)
            return
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _schema_of(main: ast.AsyncFunctionDef) -> tuple[tuple[Parameter, ...], dict[str, Any]]:
    arguments = main.args
    plain = [*arguments.posonlyargs, *arguments.args]
    padding: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults = [*padding, *arguments.defaults, *arguments.kw_defaults]
    parameters: list[Parameter] = []
    properties: dict[str, Any] = {}
    for argument, default in zip([*plain, *arguments.kwonlyargs], defaults, strict=True):
        schema = _type_schema(argument.annotation)
        if default is not None:
            schema |= _default_of(default)
        properties[argument.arg] = schema
        declared = schema.get("type", "any")
        parameters.append(
            Parameter(
                name=argument.arg,
                type=declared if isinstance(declared, str) else " | ".join(declared),
                required=default is None,
            )
        )
    result: dict[str, Any] = {"type": "object", "properties": properties}
    # No `required: null`, no empty list: some clients reject the whole tool list for it.
    if required := [parameter.name for parameter in parameters if parameter.required]:
        result["required"] = required
    result["additionalProperties"] = arguments.kwarg is not None
    return tuple(parameters), result


def _type_schema(annotation: ast.expr | None) -> dict[str, Any]:
    """Empty, so anything goes, where the annotation says nothing that JSON Schema can."""
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                return _type_schema(ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError, MemoryError):
                return {}
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _named_schema(name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([_type_schema(left), _type_schema(right)])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic_schema(name, inner)
        case _:
            return {}


def _named_schema(name: str) -> dict[str, Any]:
    if name in _TYPES:
        return {"type": _TYPES[name]}
    if name in _ARRAYS:
        return {"type": "array"}
    return {"type": "object"} if name in _OBJECTS else {}


def _generic_schema(name: str, inner: ast.expr) -> dict[str, Any]:
    parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if not parts:
        return _named_schema(name)
    if name == "Optional":
        return _either([_type_schema(inner), {"type": "null"}])
    if name == "Union":
        return _either([_type_schema(part) for part in parts])
    if name == "Literal":
        values = [_plain_value(part) for part in parts]
        return {"enum": values} if _NOT_PLAIN not in values else {}
    if name == "Annotated":
        schema = _type_schema(parts[0])
        texts = [text for p in parts[1:] if isinstance(text := _plain_value(p), str)]
        return schema | {"description": texts[0]} if texts else schema
    if name in _ARRAYS:
        items = _type_schema(parts[0])
        return {"type": "array", "items": items} if items else {"type": "array"}
    if name in _OBJECTS:
        values = _type_schema(parts[-1])
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    return {}


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Flat and without repeats: a union in a union is one union."""
    if not schemas or not all(schemas):
        return {}
    flat: list[dict[str, Any]] = []
    for schema in schemas:
        inner = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        flat += [choice for choice in inner if choice not in flat]
    return {"anyOf": flat} if len(flat) > 1 else flat[0]


def _default_of(default: ast.expr) -> dict[str, Any]:
    """Only what JSON can say; another default still makes the parameter optional."""
    value = _plain_value(default)
    return {} if value is _NOT_PLAIN else {"default": value}


def _plain_value(node: ast.expr) -> object:
    """A scalar that JSON can say and every store of ours keep; else :data:`_NOT_PLAIN`."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError):
        return _NOT_PLAIN
    match value:
        case None | bool():
            return value
        case str():
            return value if can_be_kept(value) else _NOT_PLAIN
        case int():
            return value if abs(value) <= _INTEGER_MAX else _NOT_PLAIN
        case float():
            return value if math.isfinite(value) else _NOT_PLAIN
        case _:
            return _NOT_PLAIN


def _manifest_of(tree: ast.Module) -> Manifest:
    docstrings = {id(text) for node in ast.walk(tree) if (text := _docstring_node(node))}
    modules: set[str] = set()
    hosts: set[str] = set()
    secret_names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules |= {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                modules.add(module.partition(".")[0])
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                hosts |= _host_of(text)
            case ast.Subscript(
                value=ast.Name(id="secrets"), slice=ast.Constant(value=str(name))
            ) if can_be_kept(name):
                secret_names.add(name)
            case _:
                pass
    return Manifest(
        modules=tuple(sorted(modules)),
        hosts=tuple(sorted(hosts)),
        secret_names=tuple(sorted(secret_names)),
    )


def _docstring_node(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str()) as text), *_]:
            return text
        case _:
            return None


def _host_of(text: str) -> set[str]:
    """The host of a URL; in an f-string only where the constant part holds all of it.

    ``https://api.{region}.example/`` names no host here, so the broker will refuse it.
    """
    if not text.startswith(("http://", "https://")):
        return set()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return set()
    if not host or not host.strip(".") or not host.isprintable():
        return set()
    return {host if port is None else f"{host}:{port}"}
