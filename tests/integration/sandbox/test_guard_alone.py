"""Ways past the guard and the views of modules that are closed, tried with no kernel layer on.

Defence in depth: the boundary is the kernel's, and other tests hold that one with the guard off.
"""

import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import get_args

import pytest

from sandbox.probe import LayerName
from tests.integration.sandbox.pools import Bench, bench

TOKEN = "reached-it"
ATTEMPTS = {
    "path-read": "import pathlib\nasync def main(f): return pathlib.Path(f).read_text()",
    "path-star": "from pathlib import *\nasync def main(f): return Path(f).read_text()",
    "path-attrgetter": """
import pathlib
async def main(f):
    spied = pathlib.attrgetter("__glo" + "bals__")(pathlib.PurePath.match)
    return spied["os"].open(f, 0) and "reached-it"
""",
    "path-syntax": """
import pathlib
async def main(f):
    path = pathlib.PurePath(f)
    syntax = getattr(path, "parser", None) or getattr(path, "_flavour")
    module = getattr(syntax, "pathmod", syntax)
    return ("os" in dir(module) or "exists" in dir(module)) and "reached-it"
""",
    "path-class-dict": """
import pathlib
async def main(f):
    held = {**vars(pathlib.PurePath), **vars(pathlib.PurePosixPath)}
    syntax = held.get("parser") or held["_flavour"]
    module = vars(type(syntax)).get("pathmod", syntax)
    return hasattr(module, "os") and "reached-it"
""",
    "pydantic-import-module": """
import pydantic
async def main(f): return pydantic.import_module("io").open(f).read()
""",
    "pydantic-import-string": """
from pydantic.types import ImportString
from pydantic import TypeAdapter
async def main(f): return TypeAdapter(ImportString).validate_python("io.open")(f).read()
""",
    "pydantic-internal": """
from pydantic._internal._validators import import_string
async def main(f): return import_string("io.open")(f).read()
""",
    "pydantic-v1": """
from pydantic.v1.utils import import_string
async def main(f): return import_string("io.open")(f).read()
""",
    "pydantic-pickle": """
import pydantic
class Model(pydantic.BaseModel):
    x: object
async def main(f):
    pickled = ("cbuiltins\\neval\\n(Vdict(x=open('" + f + "').read())\\ntR.").encode()
    return Model.parse_raw(pickled, proto="pickle", allow_pickle=True)
""",
    "annotation-inside": """
from pydantic import BaseModel
async def main(f):
    class Model(BaseModel):
        x: list["print(().__class__.__base__.__subclasses__()) or int"]
    return "reached-it"
""",
    "hints-elsewhere": """
import typing_extensions
async def main(f):
    class C:
        __module__ = "io"
        x: "FileIO"
    return typing_extensions.get_type_hints(C)["x"](f).read()
""",
    "code-objects": "import types\nasync def main(f): return types.CodeType and 'reached-it'",
    "frames": "import logging\nasync def main(f): return logging.currentframe() and 'reached-it'",
    "source-lines": """
import warnings
async def main(f): return getattr(warnings, "format" + "warning")("m", UserWarning, f, 1)
""",
    "configparser": """
import configparser
async def main(f):
    try: configparser.ConfigParser().read(f)
    except configparser.Error as error: return str(error)
""",
    "gzip": """
import gzip
async def main(f):
    try: gzip.open(f).read()
    except gzip.BadGzipFile: return "reached-it"
""",
    "xml": """
import xml.etree.ElementTree as tree
async def main(f):
    try: tree.parse(f)
    except tree.ParseError: return "reached-it"
""",
    "cookies": """
import http.cookiejar as jars
async def main(f):
    try: jars.MozillaCookieJar(f).load()
    except jars.LoadError: return "reached-it"
""",
    "netrc": """
import httpx
async def main(f):
    try: httpx.NetRCAuth(f)
    except Exception as error: return "Netrc" in type(error).__name__ and "reached-it"
""",
    "subprocess": """
import asyncio
async def main(f):
    start = getattr(asyncio, "create_sub" + "process_exec")
    process = await start("/bin/cat", f, stdout=-1)
    return (await process.communicate())[0].decode()
""",
    "threads": """
from asyncio.threads import to_thread
async def main(f): return await to_thread(lambda: "reached-it")
""",
    "view-of-a-module": """
import json
async def main(f): return "codecs" in vars(json) and "reached-it"
""",
    "subclass-of-str": """
import json
class Sly(str):
    def __eq__(self, other): return True
    def __hash__(self): return 1
async def main(f): return getattr(json.loads, Sly("__globals__")) and "reached-it"
""",
}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncGenerator[Bench]:
    async with bench(without=frozenset(get_args(LayerName))) as one:
        yield one


@pytest.fixture(scope="module")
def canary() -> Generator[str]:
    """The guard must not be saved by want of rights: a child may be another user."""
    with tempfile.TemporaryDirectory(prefix="canary-") as directory:
        Path(directory).chmod(0o755)
        file = Path(directory) / "canary.txt"
        file.write_text(f"{TOKEN}\n<x>\n")
        yield str(file)


async def test_the_canary_can_be_reached_without_the_guard(sandbox: Bench, canary: str) -> None:
    result = await sandbox.run("async def main(f): return open(f).read()", {"f": canary})

    assert TOKEN in result.model_dump_json()


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in ATTEMPTS.items()])
async def test_it_does_not_get_past_the_guard(sandbox: Bench, canary: str, code: str) -> None:
    if await sandbox.is_rejected(code):
        return

    result = await sandbox.run(code, {"f": canary}, guarded=True)

    assert TOKEN not in result.model_dump_json(), result


async def test_paths_without_files_work(sandbox: Bench) -> None:
    code = """
from pathlib import PurePath, PurePosixPath, PureWindowsPath
async def main():
    path = PurePath("/data") / "report.tar.gz"
    return [
        str(path), path.suffixes, path.stem, str(path.with_name("x.csv")), path.parts[-1],
        path.is_absolute(), path.match("*.gz"), str(PurePosixPath("/a/b").relative_to("/a")),
        PureWindowsPath("c:/Data") == PureWindowsPath("C:/data"), path.as_uri(), repr(path.parent),
    ]
"""
    assert not await sandbox.is_rejected(code)
    result = await sandbox.run(code, guarded=True)

    assert result.result == [
        *("/data/report.tar.gz", [".tar", ".gz"], "report.tar", "/data/x.csv", "report.tar.gz"),
        *(True, True, "b", True, "file:///data/report.tar.gz", "PurePosixPath('/data')"),
    ]
