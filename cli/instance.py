"""An instance: the directory that holds all its state, its keys, and how to reach its parts."""

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from mcpbox.domain.errors import Invalid, NotFound, Refused
from mcpbox.settings import Settings

APPLICATION_ROLE = "mcpbox_app"
_OWNER_ROLE = "mcpbox"
_SOCKET_PATH_MAX = 107
"""``sun_path`` is 108 bytes with its final zero."""
_LONGEST_SOCKET = "/postgres/.s.PGSQL.5432"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read, not bound)


class Instance:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data_dir = settings.data_dir
        self.run_dir = _short_enough(self.data_dir / "run")
        self.lock_file = self.data_dir / "lock"
        self.state_file = self.data_dir / "state.json"
        self.log_file = self.data_dir / "logs" / "mcpbox.log"
        self.postgres_dir = self.data_dir / "postgres"
        self.postgres_socket_dir = self.run_dir / "postgres"
        self.temporal_dir = self.data_dir / "temporal"
        self.sandbox_socket = self.run_dir / "sandbox.sock"
        self.worker_ready_file = self.run_dir / "worker.ready"

    def create_directories(self) -> None:
        """Make what is missing; a directory that exists keeps its mode.

        Raises: Refused: a directory cannot be made or is not ours.
        """
        # Root hands Postgres to another user, who must be able to pass through, not to look.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            _mkdir(self.data_dir, mode)
            _mkdir(self.run_dir, mode)
            _mkdir(self.log_file.parent, 0o700)
            _mkdir(self.temporal_dir, 0o700)
        except OSError as error:
            raise Refused(
                f"The data directory {self.data_dir} cannot be used: {error.strerror}. "
                "Choose another with MCPBOX_DATA_DIR."
            ) from error
        if self.run_dir.lstat().st_uid != os.geteuid() or not stat.S_ISDIR(
            self.run_dir.lstat().st_mode
        ):
            raise Refused(
                f"{self.run_dir} is not ours; remove it or set a shorter MCPBOX_DATA_DIR."
            )

    @property
    def embeds_postgres(self) -> bool:
        return self.settings.database_url is None

    @property
    def embeds_temporal(self) -> bool:
        return self.settings.temporal_address is None

    @property
    def embeds_sandbox(self) -> bool:
        return self.settings.sandbox_url is None

    def database_url(self) -> SecretStr:
        """Of the external database, or of this machine's embedded one.

        Its role uses the tables and owns none. Raises: NotFound: it was never started.
        """
        return self.settings.database_url or self._embedded_url(
            APPLICATION_ROLE, "postgres-app.password"
        )

    def owner_database_url(self) -> SecretStr:
        """The same database as the role that owns its tables, for migrations.

        Raises: NotFound: the instance was never started.
        """
        if self.settings.database_url:
            return self.settings.owner_database_url or self.settings.database_url
        return self._embedded_url(_OWNER_ROLE, "postgres.password")

    def _embedded_url(self, role: str, password_file: str) -> SecretStr:
        password = self._secret(password_file).get_secret_value()
        directory = quote(str(self.postgres_socket_dir), safe="/")
        return SecretStr(f"postgresql://{role}:{password}@/postgres?host={directory}")

    def encryption_key(self) -> SecretStr:
        """Raises: NotFound: none is set and the instance was never started."""
        return self.settings.encryption_key or self._secret("encryption.key")

    def secrets_key(self) -> SecretStr:
        """Of the values of secrets. Raises: NotFound: as above."""
        return self.settings.secrets_key or self.encryption_key()

    def temporal_keys(self) -> tuple[SecretStr, ...]:
        """Newest first. Raises: NotFound: none is set and the instance was never started."""
        newest = self.settings.temporal_key or self.encryption_key()
        return (newest, *self.settings.temporal_old_keys)

    def sandbox_api_key(self) -> SecretStr:
        """Raises: NotFound: none is set and the instance was never started."""
        return self.settings.sandbox_api_key or self._secret("sandbox.key")

    def receipt_key(self) -> str:
        """The public half of what signs approvals. Raises: NotFound: as above."""
        # Only here, for every command loads this module and should start fast.
        from mcpbox.receipts import ReceiptSigner

        return ReceiptSigner(self.encryption_key()).public_key

    def create_secrets(self) -> None:
        """Make the secrets that are neither set nor there yet."""
        if self.embeds_postgres:
            _create_secret(self.data_dir / "postgres.password")
            _create_secret(self.data_dir / "postgres-app.password")
        if not self.settings.encryption_key:
            if self._cluster_exists and not (self.data_dir / "encryption.key").exists():
                raise Invalid(
                    f"{self.data_dir} holds data, but its encryption.key is missing. Put it back, "
                    "or set MCPBOX_ENCRYPTION_KEY to the key that the data was sealed with."
                )
            _create_secret(self.data_dir / "encryption.key")
        if not self.settings.sandbox_api_key:
            _create_secret(self.data_dir / "sandbox.key")

    def environment(self) -> dict[str, str]:
        """What the processes of this instance need beside the settings, resolved.

        Raises: NotFound: the instance was never started.
        """
        environment = {
            "MCPBOX_DATA_DIR": str(self.data_dir),
            "MCPBOX_DATABASE_URL": self.database_url().get_secret_value(),
            "MCPBOX_TEMPORAL_ADDRESS": self.settings.temporal_target,
            "MCPBOX_ENCRYPTION_KEY": self.encryption_key().get_secret_value(),
            "MCPBOX_SANDBOX_API_KEY": self.sandbox_api_key().get_secret_value(),
        }
        if self.embeds_sandbox:
            environment["MCPBOX_SANDBOX_SOCKET"] = str(self.sandbox_socket)
        return environment

    def preparation_environment(self) -> dict[str, str]:
        """For the step that makes the tables: no other process is given the owner's password."""
        owner = self.owner_database_url().get_secret_value()
        return {**self.environment(), "MCPBOX_OWNER_DATABASE_URL": owner}

    def urls(self) -> dict[str, str | None]:
        """Complete addresses of what people and clients open; None where only others know it."""
        host = self.reachable_host
        authority = f"[{host}]" if ":" in host else host
        admin = f"http://{authority}:{self.settings.admin_port}"
        temporal_ui = f"http://127.0.0.1:{self.settings.temporal_ui_port}"
        return {
            "gateway": f"http://{authority}:{self.settings.gateway_port}/mcp",
            "panel": f"{admin}/",
            "api": f"{admin}/api/v1",
            "temporal_ui": temporal_ui if self.embeds_temporal else None,
        }

    @property
    def codec_endpoint(self) -> str:
        """Where Temporal's tools have payloads decoded, from this machine."""
        return f"{self.urls()['api']}/temporal/codec"

    @property
    def reachable_host(self) -> str:
        """Where this machine itself reaches what is bound to ``bind_host``."""
        return _WILDCARDS.get(self.settings.bind_host, self.settings.bind_host)

    @property
    def _cluster_exists(self) -> bool:
        with suppress(OSError):
            return any(self.postgres_dir.glob("*/PG_VERSION"))
        return False

    def _secret(self, name: str) -> SecretStr:
        try:
            return SecretStr((self.data_dir / name).read_text().strip())
        except FileNotFoundError:
            raise NotFound("instance in", self.data_dir) from None
        except PermissionError:
            raise Refused(f"{self.data_dir} belongs to another user; act as that user.") from None


def _short_enough(run_dir: Path) -> Path:
    """``run_dir``, or a stand-in below /tmp when its sockets would have too long a path."""
    if len(os.fsencode(run_dir)) + len(_LONGEST_SOCKET) <= _SOCKET_PATH_MAX:
        return run_dir
    name = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:16]
    # Known in advance to everybody, so create_directories refuses it when it is not ours.
    return Path(f"/tmp/mcpbox-{os.geteuid()}-{name}")  # noqa: S108


def _mkdir(directory: Path, mode: int) -> None:
    with suppress(FileExistsError):
        directory.mkdir(mode=mode)
        directory.chmod(mode)  # the umask may have taken bits away


def _create_secret(file: Path) -> None:
    """64 hexadecimal digits in a file of mode 0600, whole or not at all."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(32))
        stream.flush()
        os.fsync(stream.fileno())
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
