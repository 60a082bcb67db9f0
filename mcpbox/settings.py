"""Configuration: read once, in ``main()``, then passed on; ``MCPBOX_*`` variables and ``.env``."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mcpbox.domain.errors import Invalid
from mcpbox.domain.identities import Owners, WayIn
from mcpbox.domain.people import PASSWORD_MIN_LENGTH

Port = Annotated[int, Field(ge=1, le=65535)]

_KEY = re.compile(r"[0-9a-fA-F]{64}")
_SMTP = re.compile(r"smtps?://(?:[^@/\s]+@)?[^@/\s]+/?$")
_SHORTEST_TOKEN = 16
_SHORTEST_SERVICE_TOKEN = 32
_SHORTEST_TTL = timedelta(minutes=1)
_ISSUER = re.compile(
    r"https://[^\s@?#]+|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?(?:/[^\s@?#]*)?"
)
_ORIGIN = re.compile(r"https?://[^\s@/?#]+")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""Source: RFC 6749 appendix A.4."""


def default_data_dir() -> Path:
    """``/var/lib/mcpbox`` for root (its home is closed to Postgres' user), else per user."""
    if os.geteuid() == 0:
        return Path("/var/lib/mcpbox")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "mcpbox"


class Settings(BaseSettings):
    """Unset addresses mean: this machine's own, embedded part."""

    model_config = SettingsConfigDict(
        env_prefix="MCPBOX_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    """Holds all state of an instance."""

    database_url: SecretStr | None = None
    """``postgresql://…``; set, it replaces the embedded Postgres."""
    owner_database_url: SecretStr | None = None
    """The same database as the role that owns its tables, for migrations alone.

    Set, the role of ``database_url`` is granted what it needs, and nothing that changes the audit
    log; unset, ``database_url`` owns the tables too.
    """
    temporal_address: str | None = None
    """``host:port``; set, it replaces the embedded Temporal."""
    temporal_namespace: str = "default"
    temporal_key: SecretStr | None = None
    """64 hexadecimal digits that what is kept in Temporal is encrypted with; unset, the encryption
    key. A process that may not sign approvals is given this one alone."""
    secrets_key: SecretStr | None = None
    """64 hexadecimal digits that the values of secrets are sealed with; unset, the encryption key.
    Set it before there are values, and keep it: another one opens none of them. A process that may
    not sign approvals is given this one alone."""
    temporal_old_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Earlier ones (comma-separated), with which histories can still be read."""
    sandbox_url: str | None = None
    """``http://host:port``; set, it replaces the sandbox on a unix socket in ``data_dir``."""
    sandbox_socket: Path | None = None
    """Where the sandbox of this machine listens; ``mcpbox up`` sets it for its processes."""
    sandbox_api_key: SecretStr | None = None
    """32 characters or more; needed with ``sandbox_url``."""
    encryption_key: SecretStr | None = None
    """64 hexadecimal digits; unset, one is made in ``data_dir`` (mode 0600)."""
    admin_password: SecretStr | None = None
    """For the account ``admin`` at first start; unset, one is made and printed once."""

    bind_host: str = "127.0.0.1"
    gateway_port: Port = 8002
    admin_port: Port = 8000
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    temporal_ui_url: str | None = None
    """Where people open Temporal's Web UI, which may have payloads decoded for them; unset, on
    ``temporal_ui_port`` of this machine."""
    public_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Host names, beside loopback, that the panel and the gateway answer to (comma-separated)."""

    panel_https: bool = False
    """The panel is reached over https: its cookie is then sent over nothing else."""

    max_calls: int = Field(default=32, ge=1, le=10_000)
    """Calls of tools that a gateway has run at once; a client has at most three quarters."""
    max_waiting_calls: int = Field(default=256, ge=0, le=100_000)
    """Calls that wait beyond those, half of them of one client at most; more are refused."""
    source_call_s: int = Field(default=60, ge=1, le=3600)
    """How long a gateway waits for an external source to answer one call."""
    metrics_token: SecretStr | None = None
    """With it as bearer token, ``/metrics`` of the gateway is read from elsewhere than loopback."""
    gateway_url: str | None = None
    """Scheme and host that clients reach the gateway at; unset, those of ``oidc_audience`` where it
    is an address, else this machine's."""
    oidc_issuer: str | None = None
    """An OpenID provider whose access tokens the gateway takes, in place of tokens of its own."""
    oidc_audience: str | None = None
    """Whom those tokens must be for; needed with ``oidc_issuer``."""
    oidc_scope_claim: str = "scope"
    """The claim that names what a token may do: words between spaces, or a list."""
    oidc_author_scope: str = "mcpbox:author"
    oidc_call_scope: str = "mcpbox:call"
    service_token: SecretStr | None = None
    """What the tunnel in front of the gateway proves itself with; it says who its people are."""
    identities: Annotated[tuple[str, ...], NoDecode] = ()
    """Who may come by the provider or the tunnel, and for which user (comma-separated):
    ``ana@example.org=ana``, ``@example.org=team``, ``sub:nightly-job=ben``."""
    request_ttl: timedelta = timedelta(days=7)
    """How long a request waits for a decision before it expires: seconds, or ``P7D``."""
    package_index_url: str = "https://pypi.org/simple"
    """Where the wheels of granted modules come from; it speaks the simple repository API."""
    pypi_url: str = "https://pypi.org"
    """Asked for facts about packages (PyPI's JSON API); empty, they read "not checked"."""
    osv_url: str = "https://api.osv.dev"
    """Asked for known vulnerabilities (OSV's API); empty, they read "not checked"."""
    audit_anchor_dir: Path | None = None
    """Where anchors of the audit log are written; unset: ``audit-anchors`` in ``data_dir``."""
    audit_anchor_webhook: str | None = None
    """``https://…``, to which each anchor is posted besides."""
    audit_anchor_webhook_secret: SecretStr | None = None
    """Signs what is posted (HMAC-SHA256)."""
    panel_url: str | None = None
    """What links to the panel begin with; unset, its address on this machine."""
    smtp_url: SecretStr | None = None
    """``smtp://user:password@host:587`` (TLS as the server offers it), or ``smtps://…:465``."""
    mail_from: str | None = None
    """Sender of notifications by mail."""
    replay_calls: int = Field(default=0, ge=0, le=20)
    """How many of the newest calls of a released tool are run again on a version that asks to
    replace it, to compare the answers; 0: none."""
    replay_reads: bool = False
    """Replayed calls may send GET to hosts that are granted; else their network is off."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    ready_file: Path | None = None
    """The worker writes its process id here once it polls; ``mcpbox up`` waits for that."""

    @field_validator("public_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("temporal_old_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return cls._split(value)

    @field_validator("identities", mode="before")
    @classmethod
    def _split_identities(cls, value: object) -> object:
        return cls._split(value)

    @field_validator("oidc_issuer", "oidc_audience", "gateway_url", "service_token", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None and not _ISSUER.fullmatch(value):
            raise ValueError("must be https://…, or http:// on this machine, as the provider says")
        return value

    @field_validator("gateway_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is not None and not _ORIGIN.fullmatch(value.rstrip("/")):
            raise ValueError("must be scheme and host, such as https://tools.example.org")
        return value and value.rstrip("/")

    @field_validator("oidc_author_scope", "oidc_call_scope")
    @classmethod
    def _one_scope(cls, value: str) -> str:
        if not _SCOPE_TOKEN.fullmatch(value):
            raise ValueError("must be one scope, without spaces and quotes")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("request_ttl", mode="before")
    @classmethod
    def _seconds(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("request_ttl")
    @classmethod
    def _long_enough(cls, value: timedelta) -> timedelta:
        if value < _SHORTEST_TTL:
            raise ValueError("must be a minute or more")
        return value

    @field_validator("audit_anchor_webhook")
    @classmethod
    def _https_or_http(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch(r"https?://[^\s@]+", value):
            raise ValueError("must be an address such as https://host/path, without a user name")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.encryption_key and not _KEY.fullmatch(self.encryption_key.get_secret_value()):
            raise ValueError("MCPBOX_ENCRYPTION_KEY must be 64 hexadecimal digits")
        if self.secrets_key and not _KEY.fullmatch(self.secrets_key.get_secret_value()):
            raise ValueError("MCPBOX_SECRETS_KEY must be 64 hexadecimal digits")
        if self.temporal_key and not _KEY.fullmatch(self.temporal_key.get_secret_value()):
            raise ValueError("MCPBOX_TEMPORAL_KEY must be 64 hexadecimal digits")
        if not all(_KEY.fullmatch(key.get_secret_value()) for key in self.temporal_old_keys):
            raise ValueError("MCPBOX_TEMPORAL_OLD_KEYS must be keys of 64 hexadecimal digits")
        if self.smtp_url and not _SMTP.match(self.smtp_url.get_secret_value()):
            raise ValueError("MCPBOX_SMTP_URL must be smtp://user:password@host:port, or smtps://")
        if self.sandbox_url and len(_plain(self.sandbox_api_key)) < 32:
            raise ValueError("MCPBOX_SANDBOX_URL needs MCPBOX_SANDBOX_API_KEY (32+ characters)")
        if self.metrics_token and len(_plain(self.metrics_token)) < _SHORTEST_TOKEN:
            raise ValueError(f"MCPBOX_METRICS_TOKEN must have {_SHORTEST_TOKEN} characters or more")
        self._require_one_way_in()
        if self.admin_password and len(_plain(self.admin_password)) < PASSWORD_MIN_LENGTH:
            raise ValueError(
                f"MCPBOX_ADMIN_PASSWORD must have {PASSWORD_MIN_LENGTH} characters or more"
            )
        return self

    def _require_one_way_in(self) -> None:
        """Raises: ValueError: half of a way is set, or two of them."""
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("MCPBOX_OIDC_ISSUER and MCPBOX_OIDC_AUDIENCE need each other")
        if self.oidc_issuer and self.service_token:
            raise ValueError("MCPBOX_OIDC_ISSUER and MCPBOX_SERVICE_TOKEN exclude each other")
        if self.service_token and len(_plain(self.service_token)) < _SHORTEST_SERVICE_TOKEN:
            raise ValueError(
                f"MCPBOX_SERVICE_TOKEN must have {_SHORTEST_SERVICE_TOKEN} characters or more"
            )
        try:
            owners = self.owners
        except ValueError as error:
            raise ValueError(f"MCPBOX_IDENTITIES {error}") from None
        if (self.oidc_issuer or self.service_token) and not owners:
            raise ValueError(
                "MCPBOX_IDENTITIES must say who may come in, and for which user: such as "
                "ana@example.org=ana"
            )

    @property
    def way_in(self) -> WayIn:
        if self.oidc_issuer:
            return WayIn.PROVIDER
        return WayIn.TUNNEL if self.service_token else WayIn.TOKENS

    @property
    def owners(self) -> Owners:
        return Owners.read(self.identities)

    @property
    def gateway_link(self) -> str:
        """Scheme and host, without a slash behind."""
        if self.gateway_url:
            return self.gateway_url
        audience = urlsplit(self.oidc_audience or "")
        if audience.scheme in {"http", "https"} and audience.netloc:
            return f"{audience.scheme}://{audience.netloc}"
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def required_database_url(self) -> str:
        """For a process of its own, which cannot start Postgres. Raises: Invalid."""
        if self.database_url is None:
            raise Invalid("MCPBOX_DATABASE_URL is not set; 'mcpbox up' sets it by itself.")
        return self.database_url.get_secret_value()

    @property
    def required_encryption_key(self) -> SecretStr:
        """For a process of its own, which makes none. Raises: Invalid."""
        if self.encryption_key is None:
            raise Invalid("MCPBOX_ENCRYPTION_KEY is not set; 'mcpbox up' sets it by itself.")
        return self.encryption_key

    @property
    def required_secrets_key(self) -> SecretStr:
        """Raises: Invalid: there is none to open a secret with."""
        key = self.secrets_key or self.encryption_key
        if key is None:
            raise Invalid(
                "Neither MCPBOX_SECRETS_KEY nor MCPBOX_ENCRYPTION_KEY is set; 'mcpbox up' sets the "
                "latter by itself."
            )
        return key

    @property
    def temporal_keys(self) -> tuple[SecretStr, ...]:
        """Newest first. Raises: Invalid: there is none to encrypt with."""
        newest = self.temporal_key or self.encryption_key
        if newest is None:
            raise Invalid(
                "Neither MCPBOX_TEMPORAL_KEY nor MCPBOX_ENCRYPTION_KEY is set; 'mcpbox up' sets "
                "the latter by itself."
            )
        return (newest, *self.temporal_old_keys)

    @property
    def panel_link(self) -> str:
        return self.panel_url or f"http://127.0.0.1:{self.admin_port}"

    @property
    def temporal_ui_origin(self) -> str:
        """As browsers name it: scheme, host and port."""
        address = urlsplit(self.temporal_ui_url or f"http://127.0.0.1:{self.temporal_ui_port}")
        return f"{address.scheme}://{address.netloc}"

    @property
    def temporal_target(self) -> str:
        return self.temporal_address or f"127.0.0.1:{self.temporal_port}"


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
