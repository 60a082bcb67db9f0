"""The service's own configuration: ``MCPBOX_SANDBOX_*`` variables, read once, in ``main()``."""

from pathlib import Path
from typing import Annotated, Self, get_args

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sandbox.hosts import HostGrant
from sandbox.probe import LayerName

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
    pool_size: int = Field(default=4, ge=1, le=64)
    """Children kept ready."""
    max_running: int = Field(default=8, ge=1, le=256)
    max_waiting: int = Field(default=64, ge=0, le=10_000)
    """Jobs beyond ``max_running`` that wait; further ones are answered with 429."""
    require: Annotated[frozenset[str], NoDecode] = frozenset()
    """Layers of isolation without which the service does not start."""
    private_hosts: Annotated[tuple[HostGrant, ...], NoDecode] = ()
    """Hosts that, once granted, may resolve to private addresses."""

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
        return self


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
