"""Whatever is called source: the guard answers, points into it, and misses no import."""

import ast
import json
import re
import sys
import textwrap
import warnings
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.guard import Finding, check
from sandbox.modules import BASE_MODULES, is_allowed, is_denied_submodule

PLENTY = settings(max_examples=250, deadline=None, database=None)
BENIGN = [
    json.loads(line)["code"]
    for line in (Path(__file__).parents[2] / "corpus/benign.jsonl").read_text().splitlines()
]
DENIED = [
    *sorted(sys.stdlib_module_names - BASE_MODULES),
    *("requests", "numpy.linalg", "yaml", "urllib.request", "asyncio.subprocess", "pydantic.v1"),
]

texts = st.text(max_size=80) | st.text(st.characters(codec="latin-1"), max_size=80)
pieces = st.sampled_from(
    [
        *("(", ")", "[", "{", "}", ":", "\n", "\r", "\f", "\x00", "\ud800", "\\\n", "é😀", "'''"),
        *("import os", "open('x')", "x.__globals__", "lambda: ", "await ", "f'{", "async ", "\t"),
        *("from . import x", "match x:\n", "def f(x: 'eval(1)'): pass\n", "# coding: utf-7\n"),
    ]
)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """An honest tool with something cut out, doubled or put in."""
    source = draw(st.sampled_from(BENIGN))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(source)))
        end = min(len(source), start + draw(st.integers(0, 40)))
        put_in = draw(st.sampled_from(["", source[start:end] * 2]) | pieces | texts)
        source = source[:start] + put_in + source[end:]
    return source


names = st.sampled_from(["x", "json", "os", "self", "open", "http", "é", "__class__", "_private"])
attributes = st.sampled_from(["x", "Path", "f_back", "__dict__", "__mro__", "__globals__", "os"])
leaves = (
    st.builds(ast.Name, names, st.just(ast.Load()))
    | st.builds(ast.Constant, st.none() | st.integers() | st.text(max_size=5) | st.binary())
    | st.sampled_from(["__globals__", "().__class__.__base__", "list['eval(1)']"]).map(ast.Constant)
)


LOAD = ast.Load()


def attribute(value: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(value, name, LOAD)


def call(function: ast.expr, arguments: list[ast.expr]) -> ast.expr:
    return ast.Call(function, arguments, [])


def function(parameter: str, body: ast.expr) -> ast.expr:
    parameters = ast.arguments([], [ast.arg(parameter)], None, [], [], None, [])
    return ast.Lambda(parameters, body)


def collected(element: ast.expr, over: ast.expr) -> ast.expr:
    loop = ast.comprehension(ast.Name("i", ast.Store()), over, [], 0)
    return ast.ListComp(element, [loop])


def formatted(name: str, attribute_name: str) -> ast.expr:
    value = attribute(ast.Name(name, LOAD), attribute_name)
    return ast.JoinedStr([ast.FormattedValue(value, -1)])


def above(inner: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
    several = st.lists(inner, max_size=3)
    return st.one_of(
        st.builds(attribute, inner, attributes),
        st.builds(ast.Subscript, inner, inner, st.just(LOAD)),
        st.builds(call, inner, several),
        st.builds(ast.List, several, st.just(LOAD)),
        st.builds(ast.BinOp, inner, st.just(ast.BitOr()), inner),
        st.builds(ast.IfExp, inner, inner, inner),
        st.builds(function, st.sampled_from(["a", "b"]), inner),
        st.builds(collected, inner, inner),
        st.builds(formatted, names, attributes),
    )


expressions = st.recursive(leaves, above, max_leaves=12)
imports = st.one_of(
    st.sampled_from(DENIED).map(lambda name: f"import {name}"),
    st.sampled_from(DENIED).map(lambda name: f"import json, {name} as json2"),
    st.sampled_from(DENIED).map(lambda name: f"from {name} import x as y"),
    st.sampled_from(DENIED).map(lambda name: f"from {name} import *"),
    st.sampled_from(DENIED).map(lambda name: f"x = 1; import {name}; y = 2"),
    st.sampled_from(DENIED).map(lambda name: f"from \\\n  {name} import (\n  a,\n  b)"),
)
blocks = st.lists(
    st.sampled_from(
        [
            "def f(x, *y, z=1, **w):\n{}",
            "async def main():\n{}",
            "class C(object, metaclass=type):\n{}",
            "if x:\n  pass\nelif y:\n{}\nelse:\n  pass",
            "if x: pass\nelse:\n{}",
            "for x in y:\n  pass\nelse:\n{}",
            "while x:\n{}",
            "with x as y, z:\n{}",
            "try:\n{}\nfinally:\n  pass",
            "try:\n  pass\nexcept ValueError as e:\n{}",
            "try:\n  pass\nexcept* ValueError:\n{}",
            "try:\n  pass\nfinally:\n{}",
            "match x:\n case {{'a': [y, *_]}} if y:\n{}",
            "@decorated\ndef g() -> 'int':\n  '''Text.'''\n{}",
        ]
    ),
    max_size=12,
)


def assert_points_into(source: str, findings: list[Finding]) -> None:
    lines = re.split(r"\r\n|\r|\n", source)
    for finding in findings:
        assert finding.message
        assert 1 <= finding.line <= len(lines) + 1
        longest = (
            max(map(len, lines)) if finding.line > len(lines) else len(lines[finding.line - 1])
        )
        assert 1 <= finding.column <= longest + 2, finding
    assert findings == sorted(set(findings))


def imports_of(source: str) -> set[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return found


@PLENTY
@given(texts | st.lists(pieces | texts, max_size=12).map("".join))
def test_any_text_is_answered(source: str) -> None:
    assert_points_into(source, check(source))


@PLENTY
@given(mutations())
def test_a_mutated_tool_is_answered_and_none_of_its_imports_missed(source: str) -> None:
    findings = check(source)

    assert_points_into(source, findings)
    closed = {
        name
        for name in imports_of(source)
        if not is_allowed(name, frozenset()) or is_denied_submodule(name)
    }
    assert not closed or findings


@PLENTY
@given(st.lists(expressions, min_size=1, max_size=4))
def test_any_syntax_tree_is_answered(made: list[ast.expr]) -> None:
    source = "".join(f"x: {ast.unparse(one)} = {ast.unparse(one)}\n" for one in made)
    findings = check(source)

    assert_points_into(source, findings)
    internal = {"f_back", "__mro__", "__globals__"}
    reached = {
        node.attr for one in made for node in ast.walk(one) if isinstance(node, ast.Attribute)
    }
    for name in reached & internal:
        assert any(f"`{name}`" in finding.message for finding in findings)


@PLENTY
@given(imports, blocks)
def test_an_import_of_a_closed_module_is_found_wherever_it_stands(
    statement: str, around: list[str]
) -> None:
    source = statement
    for block in around:
        source = block.format(textwrap.indent(source, "  "))
    assert imports_of(source)

    findings = check(source)

    assert_points_into(source, findings)
    assert any("not available" in finding.message for finding in findings), source
