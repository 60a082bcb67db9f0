import pytest

from sandbox.guard import check

MAIN = "async def main():\n    return 1\n"


def messages(source: str, *granted: str) -> list[str]:
    return [finding.message for finding in check(source, frozenset(granted))]


def test_code_that_uses_what_is_there_passes() -> None:
    source = """
from __future__ import annotations
import asyncio, datetime, json
from collections.abc import Mapping
from dataclasses import dataclass
from pydantic import BaseModel

@dataclass
class Point:
    x: "int"
    def __post_init__(self): self.name = self.__class__.__name__

async def main(given: Mapping[str, int]):
    await asyncio.sleep(0)
    match given:
        case {"x": value}: pass
    return json.dumps(Point(1).__dict__)
"""
    assert check(source) == []


def test_all_findings_come_at_once_in_source_order_with_columns_from_one() -> None:
    source = "import json, os\n\nasync def main():\n    return eval('1') + open('x')\n"

    assert [(one.line, one.column) for one in check(source)] == [(1, 1), (4, 12), (4, 24)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os", "`os` is not available; tools have no files"),
        ("import requests", "use the `http` client"),
        ("import urllib.request", "use the `http` client"),
        ("from asyncio import subprocess", "cannot start processes"),
        ("import threading", "use asyncio"),
        ("import numpy", "only the default ones"),
        ("from . import x", "a tool is one module"),
        ("open('x')", "return it from main()"),
        ("eval('1')", "json.loads()"),
        ("().__class__.__bases__", "`__bases__` is not available"),
        ("(x for x in []).gi_frame", "`gi_frame` is not available"),
        ("getattr(1, '__subclasses__')", "'__subclasses__' is not allowed"),
        ("match 1:\n    case object(__self__=b): pass", "`__self__` is not available"),
        ("def f(x: 'eval(1)'): pass", "`eval` is not available"),
        ("def f() -> '().__globals__': pass", "`__globals__` is not available"),
        ("from json import __loader__", "`__loader__` is not available"),
        ("async def main(:", "Syntax error"),
        ("x = '\0'", "Syntax error"),
        ("x = " + "[" * 150 + "]" * 150, "nested"),
        ("x = 1" + " + 1" * 3000, "nested too deeply"),
        ("x" * (2**18 + 1), "longer than 262144 characters"),
    ],
)
def test_a_finding_says_what_to_do_instead(source: str, said: str) -> None:
    found = messages(source)

    assert len(found) >= 1
    assert said in found[0]


def test_a_grant_opens_a_module_and_no_other() -> None:
    assert messages("import numpy.linalg\n" + MAIN, "numpy") == []
    assert len(messages("import numpy, pandas\n" + MAIN, "numpy")) == 1


def test_a_grant_of_a_submodule_does_not_open_its_parent() -> None:
    assert messages("import xyz.safe", "xyz.safe") == []
    assert len(messages("import xyz", "xyz.safe")) == 1


def test_a_finding_in_a_string_annotation_points_at_the_string() -> None:
    assert check("x = 1\ndef f(y: 'eval(1)'): pass\n")[0][:2] == (2, 10)
