"""As whom the embedded Postgres runs: it refuses to be root, wherever its data lie."""

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcpbox.domain.errors import Refused

_ACCOUNTS = ("postgres", "nobody")
_ANYBODY = 65534


@dataclass(frozen=True)
class Account:
    prefix: tuple[str, ...] = ()
    """Goes before every command of Postgres."""
    user: int | None = None
    group: int | None = None

    @property
    def is_other_user(self) -> bool:
        return self.user is not None


def choose_account(postgres_dir: Path) -> Account:
    """Once chosen, the owner of ``postgres_dir`` says which it was.

    An ordinary user runs Postgres as itself. Root gives it to an unprivileged account where that
    account can pass through every parent; else Postgres runs in a user namespace in which root is
    not root, and files stay root's.

    Raises: Refused: neither works here; names the directory.
    """
    owner = _owner(postgres_dir)
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise Refused(f"{postgres_dir} belongs to another user; set MCPBOX_DATA_DIR.")
        # initdb wants its user to have a name; users of containers often have none.
        return Account() if _is_named(os.geteuid()) else _in_namespace(postgres_dir)
    account = _unprivileged(owner)
    if account and owner != 0 and _others_may_pass(postgres_dir.parent):
        return account
    if owner in (None, 0):
        return _in_namespace(postgres_dir)
    raise Refused(
        f"PostgreSQL's files in {postgres_dir} belong to user {owner}, who cannot reach them: a "
        "directory above is closed. Open it (chmod o+x), or set MCPBOX_DATA_DIR."
    )


def can_reach(path: Path) -> bool:
    """Whether any user of this machine may pass to ``path`` and read it."""
    mode = path.stat().st_mode
    return bool(mode & 0o004) and bool(mode & 0o001) and _others_may_pass(path.parent)


def _in_namespace(postgres_dir: Path) -> Account:
    prefix = (
        "unshare",
        "--user",
        f"--map-user={_ANYBODY}",
        f"--map-group={_ANYBODY}",
        "--",
    )
    with suppress(OSError, subprocess.TimeoutExpired):
        tried = subprocess.run(  # noqa: S603 (arguments are fixed)
            [*prefix, "true"], capture_output=True, timeout=10, check=False
        )
        if tried.returncode == 0:
            return Account(prefix=prefix)
    raise Refused(
        f"PostgreSQL cannot run as root in {postgres_dir}: other users cannot pass through the "
        "directories above it, and this machine allows no user namespaces. Set MCPBOX_DATA_DIR "
        "to a directory below /var/lib, or start as an ordinary user."
    )


def _unprivileged(owner: int | None) -> Account | None:
    for name in _ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name) if owner is None else pwd.getpwuid(owner)
            return Account(user=entry.pw_uid, group=entry.pw_gid)
    return None


def _others_may_pass(directory: Path) -> bool:
    """What does not exist yet counts as open: we make it so."""
    existing = (place for place in (directory, *directory.parents) if place.exists())
    return all(place.stat().st_mode & 0o001 for place in existing)


def _owner(directory: Path) -> int | None:
    with suppress(FileNotFoundError):
        return directory.stat().st_uid
    return None


def _is_named(uid: int) -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwuid(uid))
    return False
