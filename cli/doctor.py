"""``mcpbox doctor``: what this machine offers, what is missing, and what to do about it."""

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from cli.database import check_database
from cli.instance import Instance
from cli.output import Exit, echo, echo_json
from cli.ports import is_free
from cli.postgres import MAJOR, installed_binaries
from cli.postgres_account import choose_account
from cli.services import bare_environment, ports_of
from cli.state import running_state
from cli.temporal import installed_binary
from gateway.provider import Provider
from mcpbox.domain.audit import Protection
from mcpbox.domain.errors import DomainError, Unavailable
from mcpbox.domain.identities import WayIn
from mcpbox.sandbox_client import SandboxClient
from mcpbox.settings import Settings
from mcpbox.store.audit_protection import protection
from mcpbox.store.session import make_sessions, reading
from sandbox.contract import Health, Layer

_PROBE_TIMEOUT_S = 60
_LITTLE_BYTES = 2 * 2**30
_TOO_LITTLE_BYTES = 300 * 2**20
_OLDEST_GLIBC = (2, 28)


class Verdict(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    name: str
    state: Verdict
    what: str
    todo: str = ""
    """Empty when there is nothing to do."""


def show_checks(settings: Settings, *, as_json: bool) -> Exit:
    checks = examine(Instance(settings))
    if as_json:
        echo_json({"checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            echo(f"{check.state:<9} {check.name:<12} {check.what}")
            if check.todo:
                echo(f"{'':<22} -> {check.todo}")
    failed = any(check.state is Verdict.FAILED for check in checks)
    return Exit.FAILED if failed else Exit.OK


def examine(instance: Instance) -> list[Check]:
    """In the order of what must work first."""
    checks = [_python(), _instance(instance), _data_dir(instance), _disk(instance)]
    if instance.embeds_postgres:
        checks.append(_failing("postgres", lambda: _postgres(instance)))
    if instance.embeds_temporal:
        checks.append(_failing("temporal", _temporal))
    if instance.embeds_postgres or instance.embeds_temporal:
        checks.append(_glibc())
    checks.append(_failing("ports", lambda: _ports(instance)))
    checks.append(_failing("clients", lambda: way_in(instance.settings)))
    if audit := _audit(instance):
        checks.append(audit)
    return [*checks, *_isolation(instance)]


def _failing(name: str, check: Callable[[], Check]) -> Check:
    """A domain error is the answer of a check, and its sentence says what to do."""
    try:
        return check()
    except DomainError as error:
        return Check(name, Verdict.FAILED, str(error))


def _python() -> Check:
    version = platform.python_version()
    if (3, 11) <= sys.version_info < (3, 15):
        return Check("python", Verdict.OK, f"Python {version}")
    return Check("python", Verdict.FAILED, f"Python {version}", "Use Python 3.11 to 3.14.")


def _glibc() -> Check:
    library, version = platform.libc_ver()
    if library != "glibc":
        return Check(
            "libc",
            Verdict.FAILED,
            "The C library is not glibc, which the embedded PostgreSQL needs.",
            "Set MCPBOX_DATABASE_URL, or use a distribution with glibc such as Debian.",
        )
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_GLIBC:
        return Check("libc", Verdict.FAILED, f"glibc {version}", "Upgrade: 2.28 is the oldest.")
    return Check("libc", Verdict.OK, f"glibc {version}")


def _instance(instance: Instance) -> Check:
    try:
        state = running_state(instance.state_file)
    except DomainError as error:
        return Check("instance", Verdict.FAILED, str(error))
    if state:
        return Check("instance", Verdict.OK, f"runs, pid {state.supervisor_pid}")
    known = instance.state_file.exists()
    return Check("instance", Verdict.OK, "stopped" if known else "none yet; `mcpbox up` makes it")


def _data_dir(instance: Instance) -> Check:
    directory = _existing(instance.data_dir)
    if os.access(directory, os.W_OK | os.X_OK):
        return Check("data", Verdict.OK, f"{instance.data_dir} is writable")
    return Check(
        "data",
        Verdict.FAILED,
        f"{directory} is not writable for this user",
        "Set MCPBOX_DATA_DIR to a directory of yours.",
    )


def _disk(instance: Instance) -> Check:
    free = shutil.disk_usage(_existing(instance.data_dir)).free
    what = f"{free / 2**30:.1f} GiB free"
    todo = "Free some space, or set MCPBOX_DATA_DIR to a larger disk."
    if free < _TOO_LITTLE_BYTES:
        return Check("disk", Verdict.FAILED, what, todo)
    if free < _LITTLE_BYTES:
        return Check("disk", Verdict.DEGRADED, what, todo)
    return Check("disk", Verdict.OK, what)


def _postgres(instance: Instance) -> Check:
    binaries = installed_binaries()
    account = choose_account(instance.postgres_dir)
    how = "in a user namespace" if account.prefix else "as this user"
    if account.user is not None:
        how = f"as user {account.user}"
    what = f"PostgreSQL {MAJOR} (wheel {binaries.version}), runs {how}"
    return Check("postgres", Verdict.OK, what)


def _temporal() -> Check:
    answer = subprocess.run(  # noqa: S603 (arguments are fixed)
        [installed_binary(), "--version"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=_PROBE_TIMEOUT_S,
        check=False,
    )
    if answer.returncode:
        return Check("temporal", Verdict.FAILED, "Its program does not run on this machine.")
    return Check("temporal", Verdict.OK, answer.stdout.strip())


def _ports(instance: Instance) -> Check:
    needed = ports_of(instance)
    numbers = ", ".join(str(port.number) for port in needed)
    if running_state(instance.state_file):
        return Check("ports", Verdict.OK, f"{numbers} are ours")
    busy = [port for port in needed if not is_free(port)]
    if not busy:
        return Check("ports", Verdict.OK, f"{numbers} are free")
    return Check(
        "ports",
        Verdict.FAILED,
        "; ".join(f"{port.number} ({port.purpose}) is in use" for port in busy),
        f"Choose others with {', '.join(port.setting for port in busy)}.",
    )


def way_in(settings: Settings) -> Check:
    """Which one is in force. Raises: Unavailable: a provider that has no keys for us."""
    if settings.oidc_issuer is not None:
        asyncio.run(_ask_provider(settings.oidc_issuer))
    what = {
        WayIn.TOKENS: "come with tokens that are made here",
        WayIn.PROVIDER: f"come with access tokens of {settings.oidc_issuer}",
        WayIn.TUNNEL: "come through a tunnel that proves itself with MCPBOX_SERVICE_TOKEN",
    }[settings.way_in]
    return Check("clients", Verdict.OK, what)


async def _ask_provider(issuer: str) -> None:
    await Provider(issuer).keys()


def _audit(instance: Instance) -> Check | None:
    """What keeps the processes from changing the audit log; ``None``: no database answers now."""
    try:
        found = asyncio.run(_ask_protection(instance.database_url().get_secret_value()))
    except DomainError:
        return None
    verdict, what, todo = _PROTECTIONS[found]
    return Check("audit", verdict, what, todo)


async def _ask_protection(database_url: str) -> Protection:
    await check_database(database_url)
    sessions = make_sessions(database_url, connections=2)
    try:
        async with reading(sessions) as session:
            return await protection(session)
    finally:
        await sessions.kw["bind"].dispose()


_PROTECTIONS = {
    Protection.RIGHTS: (Verdict.OK, "the application's role may append to its log only", ""),
    Protection.TRIGGER: (
        Verdict.DEGRADED,
        "the application's role owns its log; a trigger refuses changes, and an owner can drop it",
        "Set MCPBOX_OWNER_DATABASE_URL for migrations, and give MCPBOX_DATABASE_URL another role.",
    ),
    Protection.NOTHING: (
        Verdict.FAILED,
        "nothing keeps the application's role from changing its log",
        "Run `mcpbox migrate`; if it stays so, somebody took the trigger away: verify the log.",
    ),
}


def _isolation(instance: Instance) -> list[Check]:
    """As the running sandbox measured it at its start, else as its probe does now."""
    try:
        health = _health_of_running(instance) or _health_by_probe()
    except DomainError as error:
        return [Check("isolation", Verdict.FAILED, str(error))]
    if health is None:
        return [
            Check(
                "isolation",
                Verdict.DEGRADED,
                "What the sandbox can do here could not be measured.",
                "Run `mcpbox up`, then `mcpbox doctor` again: a running sandbox is asked itself.",
            )
        ]
    verdicts = {"full": Verdict.OK, "unsafe": Verdict.FAILED}
    verdict = verdicts.get(health.level, Verdict.DEGRADED)
    todo = "" if verdict is Verdict.OK else "See what the inactive layers below need."
    level = Check("isolation", verdict, f"level {health.level}; its layers follow", todo)
    return [level, *map(_layer, health.layers)]


def _layer(layer: Layer) -> Check:
    if layer.active:
        return Check(layer.name, Verdict.OK, f"active; {layer.detail}".rstrip("; "))
    return Check(layer.name, Verdict.DEGRADED, "inactive", layer.detail)


def _health_of_running(instance: Instance) -> Health | None:
    if not running_state(instance.state_file) or not instance.embeds_sandbox:
        return None
    return asyncio.run(_ask_sandbox(instance))


async def _ask_sandbox(instance: Instance) -> Health | None:
    client = SandboxClient(
        url="http://sandbox",
        api_key=instance.sandbox_api_key(),
        socket=str(instance.sandbox_socket),
    )
    try:
        return await client.health()
    except (Unavailable, ValidationError):
        return None
    finally:
        await client.aclose()


def _health_by_probe() -> Health | None:
    """In a process of its own: the probe tries things on itself."""
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-m", "sandbox", "probe"],
            env=bare_environment(),
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
        return Health.model_validate(json.loads(answer.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError, ValidationError):
        return None


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    return next(place for place in (directory, *directory.parents) if place.exists())
