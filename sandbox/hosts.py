"""Granted hosts, and whether a URL goes to one of them."""

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

import httpx

_STANDARD_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_IPV6 = re.compile(r"\[[0-9a-f:.]{2,45}\]")
_MAX_URL_CHARACTERS = 8192


class Refused(Exception):
    """Fit for the author: what the broker refuses, and why."""


class Target(NamedTuple):
    host: str
    port: int
    may_be_private: bool


class HostGrant(NamedTuple):
    name: str
    """A host, or ``*.suffix`` for every host below it."""
    port: int | None
    """``None`` means the standard ports, 80 and 443."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError: fit to be shown."""
        lowered = text.strip().lower()
        bracket = lowered.rpartition("]")
        name, colon, port = bracket[2].rpartition(":") if bracket[1] else lowered.rpartition(":")
        name = f"{bracket[0]}{bracket[1]}{name}" if colon else lowered
        name = name.rstrip(".")
        if not (_NAME.fullmatch(name) or _IPV6.fullmatch(name)):
            raise ValueError(f"{text!r} is no host: use `host`, `host:port` or `*.suffix`")
        if not colon:
            return cls(name.strip("[]"), None)
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"{text!r} has no valid port")
        return cls(name.strip("[]"), int(port))

    def covers(self, host: str, port: int) -> bool:
        if port != self.port if self.port else port not in _STANDARD_PORTS.values():
            return False
        return self.covers_name(host)

    def covers_name(self, host: str) -> bool:
        if self.name.startswith("*."):
            return host.endswith(self.name[1:]) and len(host) > len(self.name) - 1
        return host == self.name


class HostGrants:
    """What one bundle may reach; nothing by default."""

    def __init__(self, granted: Iterable[str], private: Iterable[HostGrant] = ()) -> None:
        """Raises: ValueError: a grant is malformed.

        ``private``: granted hosts that may resolve to private addresses; without a port, on any.
        """
        self._granted = tuple(HostGrant.parse(text) for text in granted)
        self._private = tuple(private)

    def target(self, url: httpx.URL) -> Target:
        """Raises: Refused."""
        if len(str(url)) > _MAX_URL_CHARACTERS:
            raise Refused(f"the URL is longer than {_MAX_URL_CHARACTERS} characters")
        if url.scheme not in _STANDARD_PORTS:
            raise Refused(f"the scheme {url.scheme!r} is not allowed, only http and https")
        if url.userinfo:
            raise Refused("user info in the URL is not allowed; send a header")
        host = url.raw_host.decode("ascii").lower().rstrip(".")
        port = url.port or _STANDARD_PORTS[url.scheme]
        if not host:
            raise Refused("the URL names no host")
        if not self.covers(host, port):
            raise Refused(f"the host {host}:{port} is not granted to this server; ask for it")
        private = any(
            grant.covers_name(host) and grant.port in {None, port} for grant in self._private
        )
        return Target(host, port, private)

    def covers(self, host: str, port: int) -> bool:
        return any(grant.covers(host, port) for grant in self._granted)
