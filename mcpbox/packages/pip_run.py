"""One run of pip as a process of its own, which leaves nothing behind."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mcpbox.domain.errors import Unavailable
from mcpbox.packages import pip_process
from mcpbox.packages.web import Document

_OUTPUT_KEPT_BYTES = 64 * 2**10
_REPORT_MAX_BYTES = 32 * 2**20
_REPORT = "report.json"
_KEPT_VARIABLES = (
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
_OPTIONS = (
    *("--isolated", "--no-input", "--no-color", "--disable-pip-version-check", "--no-cache-dir"),
    *("--keyring-provider", "disabled", "--progress-bar", "off", "--retries", "1"),
    *("--timeout", "15", "--dry-run", "--ignore-installed", "--only-binary", ":all:"),
)


class Hashes(Document):
    hashes: dict[str, str] = Field(default_factory=dict)


class Download(Document):
    url: str
    archive_info: Hashes = Hashes()


class Metadata(Document):
    name: str


class Chosen(Document):
    download_info: Download
    is_direct: bool
    is_yanked: bool = False
    metadata: Metadata


class Report(Document):
    """Source: pip's documentation, "Installation Report", of version 1."""

    version: Literal["1"]
    install: list[Chosen]


@dataclass(frozen=True)
class PipRun:
    code: int
    report: Report | None
    """``None`` when it found no solution."""
    output: str
    """The last part of what it said."""


async def run_pip(index_url: str, requirements: Sequence[str], *, timeout_s: float) -> PipRun:
    """Resolve, install nothing. Raises: Unavailable: it took too long."""
    with tempfile.TemporaryDirectory(prefix="mcpbox-pip-") as home:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-B", pip_process.__file__, "install", *_OPTIONS),
            *("--index-url", index_url, "--report", _REPORT, "--", *requirements),
            cwd=home,
            env=_environment(home),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output = await _last_part(process)
                code = await process.wait()
        except TimeoutError as error:
            raise Unavailable(
                "The package index", f"Resolving took more than {timeout_s:g} seconds."
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        report = _report_in(Path(home)) if code == 0 else None
    return PipRun(code=code, report=report, output=output.decode("utf-8", "replace"))


def _environment(home: str) -> dict[str, str]:
    """No secret of ours, no setting of this machine's pip."""
    return {
        **{name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        **dict.fromkeys(("HOME", "TMPDIR"), home),
        "PATH": "/nonexistent",
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
    }


async def _last_part(process: asyncio.subprocess.Process) -> bytes:
    kept = b""
    while process.stdout and (part := await process.stdout.read(2**16)):
        kept = (kept + part)[-_OUTPUT_KEPT_BYTES:]
    return kept


def _report_in(home: Path) -> Report | None:
    path = home / _REPORT
    if not path.is_file() or path.stat().st_size > _REPORT_MAX_BYTES:
        return None
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RuntimeError("pip wrote a report of another version than 1") from error
