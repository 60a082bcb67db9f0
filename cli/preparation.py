"""The step between the databases and what uses them, as the supervisor sees it.

Its work is done by a process of its own, :mod:`cli.first_start`: that loads while the databases
start, and its memory goes when it is done.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from logging import Logger

from cli import processes
from cli.output import Exit
from mcpbox.domain.errors import DomainError, Unavailable

_ATTEMPTS = 3
_RETRY_DELAY_S = 1.0
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Made:
    """What was made now and is known only now; both None on later starts."""

    admin_password: str | None = None
    client_token: str | None = None


class PreparationFailed(DomainError):
    """Another start would fail in the same way."""


async def prepare(
    env: Mapping[str, str], wait_for_databases: Callable[[], Awaitable[None]], log: Logger
) -> Made:
    """Raises: Unavailable: a database does not answer; PreparationFailed."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(Unavailable):
            return await _prepare_once(env, wait_for_databases, log)
        await asyncio.sleep(_RETRY_DELAY_S)
    return await _prepare_once(env, wait_for_databases, log)


async def _prepare_once(
    env: Mapping[str, str], wait_for_databases: Callable[[], Awaitable[None]], log: Logger
) -> Made:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "cli.first_start"),
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=processes.dies_with_parent(signal.SIGKILL),
    )
    try:
        await wait_for_databases()
        async with asyncio.timeout(_TIMEOUT_S):
            output, errors = await process.communicate(b"go\n")
    except TimeoutError:
        raise PreparationFailed(f"The database was not ready for use in {_TIMEOUT_S} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for line in errors.decode(errors="replace").splitlines():
        log.info("%s", line, extra={"service": "prepare"})
    if process.returncode == Exit.OK:
        return Made(**json.loads(output))
    message = output.decode(errors="replace").strip()
    if process.returncode == Exit.UNAVAILABLE:
        raise Unavailable("The database", message)
    raise PreparationFailed(
        message or "The database could not be prepared; the lines above say why."
    )
