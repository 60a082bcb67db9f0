"""The service's own configuration: ``MCPBOX_SANDBOX_*`` variables, read once, in ``main()``."""

from pathlib import Path
from typing import Annotated, Self, get_args

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sandbox.hosts import HostGrant
from sandbox.probe import LayerName
from sandbox.receipts import public_keys

_SHORTEST_KEY = 32
_LONGEST_SOCKET_PATH = 107


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MCPBOX_SANDBOX_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    socket: Path | None = None
    """Where to listen: a unix socket, for this user alone …"""
    bind: str | None = None
    """… or ``host:port``."""
    api_key: SecretStr
    receipt_keys: Annotated[tuple[bytes, ...], NoDecode] = ()
    """Ed25519 public keys, one of which has signed the receipt of whatever runs as released."""
    pool_size: int = Field(default=4, ge=1, le=64)
    """Children kept ready."""
    max_running: int = Field(default=8, ge=1, le=256)
    max_waiting: int = Field(default=128, ge=0, le=10_000)
    """Jobs beyond ``max_running`` that wait; further ones are answered with 429."""
    max_running_per_server: int | None = Field(default=None, ge=1, le=256)
    """Calls of one server at once; by default, a quarter of ``max_running`` stays for others."""
    max_waiting_per_server: int | None = Field(default=None, ge=0, le=10_000)
    """By default half of ``max_waiting``."""
    data_dir: Path | None = None
    """Keeps sets of modules from one start to the next; unset, they are for this process alone."""
    max_module_servers: int = Field(default=8, ge=1, le=64)
    """Servers with modules of their own whose fork servers are kept at once."""
    module_idle_s: float = Field(default=300, ge=1, le=86_400)
    """After so long without a call, such a fork server is stopped."""
    require: Annotated[frozenset[str], NoDecode] = frozenset()
    """Layers of isolation without which the service does not start."""
    private_hosts: Annotated[tuple[HostGrant, ...], NoDecode] = ()
    """Hosts that, once granted, may resolve to private addresses."""

    @field_validator("receipt_keys", mode="before")
    @classmethod
    def _public_keys(cls, value: object) -> object:
        return public_keys(value) if isinstance(value, str) else value

    @field_validator("require", mode="before")
    @classmethod
    def _known_layers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = frozenset(_parts(value))
        unknown = names - frozenset(get_args(LayerName))
        if unknown:
            known = ", ".join(get_args(LayerName))
            raise ValueError(f"unknown layer {', '.join(sorted(unknown))}; known are {known}")
        return names

    @field_validator("private_hosts", mode="before")
    @classmethod
    def _host_grants(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(HostGrant.parse(part) for part in _parts(value))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.socket is None) == (self.bind is None):
            raise ValueError(
                "set one of MCPBOX_SANDBOX_SOCKET (a path) and MCPBOX_SANDBOX_BIND (host:port)"
            )
        if self.socket is not None and len(str(self.socket)) > _LONGEST_SOCKET_PATH:
            raise ValueError(
                f"MCPBOX_SANDBOX_SOCKET is longer than {_LONGEST_SOCKET_PATH} characters"
            )
        if self.bind is not None and not _is_address(self.bind):
            raise ValueError("MCPBOX_SANDBOX_BIND must be host:port")
        if len(self.api_key.get_secret_value()) < _SHORTEST_KEY:
            raise ValueError("MCPBOX_SANDBOX_API_KEY must have 32 characters or more")
        if not self.receipt_keys:
            raise ValueError(
                "set MCPBOX_SANDBOX_RECEIPT_KEYS to what `mcpbox receipts public-key` prints; "
                "without a key nothing that was approved can be told from what was not"
            )
        return self


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
