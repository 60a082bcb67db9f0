"""What an author is told about code that was only read: all of it at once, and what it needs."""

from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import async_sessionmaker

from mcpbox.domain.manifests import Manifest
from mcpbox.sandbox_client import SandboxClient
from mcpbox.usecases.development import Development
from tests.integration.sandbox.running import API_KEY, RunningService

CODE = """import os, yaml
def helper(): return eval("1")
def main(city): return requests.get("https://api.example.org/v1"), secrets["KEY"]
"""


async def validated(directory: Path, code: str) -> tuple[list[tuple[int, int, str]], Manifest]:
    client = SandboxClient(
        url="http://sandbox", api_key=SecretStr(API_KEY), socket=str(directory / "sandbox.sock")
    )
    try:
        report = await Development(async_sessionmaker(), client).validate(code)
    finally:
        await client.aclose()
    assert report.guard_checked
    assert report.valid == (not report.problems)
    found = [(one.line, one.column, one.message) for one in report.problems]
    return found, report.manifest


async def test_every_finding_of_both_readers_comes_at_once_in_source_order(
    service: RunningService, run_directory: Path
) -> None:
    found, manifest = await validated(run_directory, CODE)

    assert [(line, column) for line, column, _ in found] == [(1, 1), (1, 1), (2, 22), (3, 1)]
    said = [message for *_, message in found]
    assert "`pathlib.PurePath`" in said[0]
    assert "for the package `PyYAML`" in said[1]
    assert "`eval` is not available" in said[2]
    assert "async def main" in said[3]
    assert manifest == Manifest(
        modules=("os", "yaml"), hosts=("api.example.org",), secret_names=("KEY",)
    )


async def test_a_syntax_error_is_said_once(service: RunningService, run_directory: Path) -> None:
    found, _ = await validated(run_directory, "import os\nasync def main(:\n")

    assert [line for line, *_ in found] == [2]


async def test_without_main_the_rest_is_checked_too(
    service: RunningService, run_directory: Path
) -> None:
    found, _ = await validated(run_directory, "import os\n")

    assert len(found) == 2
    assert {line for line, *_ in found} == {1}
