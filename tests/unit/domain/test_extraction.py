"""Reading a tool's source without running it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.extraction import read_source
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.tools import CODE_MAX_BYTES


@pytest.mark.parametrize(
    ("code", "line", "column", "part"),
    [
        ("async def main(:\n    pass\n", 1, 16, "Invalid Python"),
        ("x = 1\n  y = 2\n", 2, 3, "Invalid Python"),
        ("def other(): pass\n", 1, 1, "no function main"),
        ("\n\ndef main(): pass\n", 3, 1, "must be asynchronous"),
        ("async def main(a, /): pass\n", 1, 16, "'a'"),
        ("async def main(*rest): pass\n", 1, 17, "'rest'"),
        ("async def main():\n    if True:\n        yield 1\n", 3, 9, "main cannot yield"),
        ("import " + "a." * 100_000 + "a", 1, 1, "dotted name of more than 1000 parts"),
        ("async def main(): pass\0\n", 1, 1, "Invalid Python"),
        ("(" * 5000, 1, 1, "Invalid Python"),
    ],
)
def test_a_mistake_is_named_with_its_place(code: str, line: int, column: int, part: str) -> None:
    report = read_source(code)

    assert not report.valid
    [problem] = report.problems
    assert (problem.line, problem.column) == (line, column) or part == "Invalid Python"
    assert part in problem.message


def test_code_over_the_limit_is_refused_with_both_sizes() -> None:
    [problem] = read_source("#" * (CODE_MAX_BYTES + 1)).problems

    assert str(CODE_MAX_BYTES + 1) in problem.message
    assert "256 KB" in problem.message


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("dict[str, int]", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("Optional[int]", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("'int'", {"type": "integer"}),
        ("Literal['a', 'b']", {"enum": ["a", "b"]}),
        ("Annotated[str, 'A city.']", {"type": "string", "description": "A city."}),
        ("datetime.date", {}),
        ("SomeModel", {}),
    ],
)
def test_annotations_become_json_schema(annotation: str, schema: dict[str, Any]) -> None:
    report = read_source(f"async def main(x: {annotation}): pass\n")

    assert report.input_schema["properties"] == {"x": schema}


def test_defaults_make_parameters_optional_and_are_told() -> None:
    report = read_source("async def main(a: int, b: str = 'x', *, c: list = [], d=None): pass\n")

    assert report.input_schema["required"] == ["a"]
    assert report.input_schema["properties"]["b"] == {"type": "string", "default": "x"}
    assert "default" not in report.input_schema["properties"]["c"]
    assert report.input_schema["properties"]["d"] == {"default": None}


def test_a_tool_without_required_parameters_has_no_required_key() -> None:
    """Some clients reject the whole list of tools for ``required: null``."""
    assert "required" not in read_source("async def main(a: int = 1): pass\n").input_schema


def test_unknown_arguments_are_allowed_only_where_main_takes_them() -> None:
    strict = read_source("async def main(a): pass\n").input_schema
    open_ended = read_source("async def main(a, **more): pass\n").input_schema

    assert strict["additionalProperties"] is False
    assert open_ended["additionalProperties"] is True


def test_the_manifest_is_what_the_code_needs() -> None:
    report = read_source(
        '''"""Reads https://docs.example.com/ for rates."""
import json, re
from datetime import date
BASE = "https://API.example.com:8443/v1"

async def main(region: str) -> str:
    """See https://more.example.com/."""
    await http.get(f"https://cdn.example.com/{region}")
    await http.get(f"https://{region}.example.com/")
    return secrets["TOKEN"] + BASE
'''
    )

    assert report.manifest == Manifest(
        modules=("datetime", "json", "re"),
        hosts=("api.example.com:8443", "cdn.example.com"),
        secret_names=("TOKEN",),
    )


@pytest.mark.parametrize("head", ["", "def main():\n    pass\n", "async def main(*a):\n    pass\n"])
def test_what_the_code_needs_is_told_whatever_else_is_wrong(head: str) -> None:
    report = read_source(
        f"{head}import json\nkey = secrets['KEY']\nat = 'https://api.example.org/'\n"
    )

    assert not report.valid
    assert report.readable
    assert report.manifest == Manifest(
        modules=("json",), hosts=("api.example.org",), secret_names=("KEY",)
    )


def test_a_function_inside_main_may_yield() -> None:
    inside = "async def main():\n    def f():\n        yield 1\n    return list(f())\n"

    assert read_source(inside).valid


@given(st.text(max_size=200))
def test_no_text_whatever_breaks_the_reader(code: str) -> None:
    report = read_source(code)

    assert report.valid == (not report.problems)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in report.problems)
