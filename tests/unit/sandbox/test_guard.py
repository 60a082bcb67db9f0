import sys

import pytest

from sandbox.guard import check
from sandbox.modules import BASE_MODULES
from sandbox.suggestions import instead_of_module
from sandbox.words import words

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
        ("import os", "`os` is not available; for paths use `pathlib.PurePath`"),
        ("import requests", "use the `http` client"),
        ("import urllib.request", "use the `http` client"),
        ("from asyncio import subprocess", "cannot start processes"),
        ("import threading", "use asyncio"),
        ("import numpy", "or ask with `mcpbox_request_module`."),
        ("import tomlkit", "`tomlkit` is not available; ask with `mcpbox_request_module`."),
        ("from yaml import safe_load", "ask with `mcpbox_request_module` for the package `PyYAML`"),
        ("import PIL.Image", "`PIL.Image` is not available; ask with `mcpbox_request_module` for"),
        ("import telnetlib", "no network but the `http` client"),
        ("import pickle", "`pickle` is not available; use `json`."),
        ("import importlib.metadata", "nothing of the machine"),
        ("import this", "`this` is not available; it is no part of what tools may use"),
        ("import pydantic.v1", "`pydantic.v1` is not available; it leads to"),
        ("import pydantic._internal", "`pydantic._internal` is not available; it leads to"),
        ("from pathlib import PurePath, Path", "`pathlib.Path` is not available; for paths use"),
        ("import pathlib\npathlib.Path('x')", "`pathlib.Path` is not available; for paths use"),
        ("def f(): lib.request\nimport urllib as lib", "`urllib.request` is not available"),
        ("import asyncio\nasyncio.to_thread(f)", "cannot start processes or threads"),
        ("loop.run_in_executor(None, f)", "cannot start processes or threads"),
        ("import operator as o\no.attrgetter('x')", "use `lambda item: item.name`"),
        ("import secrets\nsecrets['KEY']", "`secrets` is the module here"),
        ("import http\nhttp.get('https://example.org')", "`import http as http_module`"),
        ("from . import x", "a tool is one module"),
        ("open('x')", "return it from main()"),
        ("eval('1')", "json.loads()"),
        ("().__class__.__bases__", "`__bases__` is not available"),
        ("(x for x in []).gi_frame", "`gi_frame` is not available"),
        ("getattr(1, '__subclasses__')", "'__subclasses__' is not allowed"),
        ("match 1:\n    case object(__self__=b): pass", "`__self__` is not available"),
        ("def f(x: 'eval(1)'): pass", "`eval` is not available"),
        ("def f() -> '().__globals__': pass", "`__globals__` is not available"),
        ("x: list['().__globals__'] = []", "`__globals__` is not available"),
        ("x: 'list[\"().__globals__\"]' = []", "`__globals__` is not available"),
        ("from json import __loader__", "`__loader__` is not available"),
        ("async def main(:", "Syntax error"),
        ("x = '\0'", "Syntax error"),
        ("x = " + "[" * 150 + "]" * 150, "nested"),
        ("x = 1" + " + 1" * 3000, "nested too deeply"),
        ("x" * (2**18 + 1), "longer than 262144 characters"),
        ("import " + "a." * 100_000 + "a", "dotted name of more than 1000 parts"),
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


def test_columns_count_characters_and_not_bytes() -> None:
    assert check("x = 'ä€😀'; eval('1')\r\ny = 'é'; open('x')\n") == [
        (
            1,
            12,
            "`eval` is not available; use `json.loads()` or `ast.literal_eval()` to read data.",
        ),
        (2, 10, messages("open('x')")[0]),
    ]


def test_the_same_thing_in_the_same_place_is_said_once() -> None:
    assert len(messages("def f(x: '().__globals__'): pass\n")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def one():\n    import secrets\ndef two():\n    return secrets['KEY']\n",
        "import secrets as random_secrets\nkey = secrets['KEY']\n",
        "import http\nstatus = http.HTTPStatus.OK\n",
        "from typing import Literal\ndef f(mode: Literal['open', 'eval']): pass\n",
        "class Path: pass\nclass Own:\n    Path = Path\nOwn.Path\n",
        "from pathlib import PurePath, PurePosixPath, PureWindowsPath\n",
    ],
)
def test_what_only_looks_like_it_is_let_pass(source: str) -> None:
    assert messages(source) == []


def test_the_default_modules_are_there() -> None:
    """Those that tools of the system before this one could import, and paths without files."""
    defaults = words("""
        asyncio base64 binascii calendar collections contextlib copy csv dataclasses datetime
        decimal difflib enum fractions functools hashlib hmac html itertools json math operator
        pathlib random re secrets statistics string textwrap time typing urllib.parse uuid
        xml.etree.ElementTree zoneinfo
    """)

    assert messages("".join(f"import {name}\n" for name in defaults)) == []


def test_only_what_can_be_granted_is_offered_to_be_asked_for() -> None:
    closed = sorted(sys.stdlib_module_names - BASE_MODULES)

    assert len(closed) > 100
    for name in closed:
        assert "mcpbox_request_module" not in instead_of_module(name), name
    for name in ("requests", "bs4", "lxml", "numpy", "boto3", "openai", "psycopg", "redis", "x"):
        assert "mcpbox_request_module" in instead_of_module(name)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("yaml", "PyYAML"),
        ("bs4", "beautifulsoup4"),
        ("dateutil", "python-dateutil"),
        ("PIL", "Pillow"),
        ("sklearn", "scikit-learn"),
    ],
)
def test_a_package_is_named_where_it_is_not_named_as_the_import(name: str, package: str) -> None:
    assert instead_of_module(name).endswith(f"for the package `{package}`")
