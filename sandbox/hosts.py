"""Granted hosts, methods and paths, and whether a request goes to one of them."""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple, Self

import httpx

from sandbox.paths import Prefix, is_ambiguous, is_below, path_of, prefix_of

_STANDARD_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")
_IPV6 = re.compile(r"\[[0-9a-f:.]{2,45}\]")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_METHOD = re.compile(r"[A-Z]{1,20}")
MAX_URL_CHARACTERS = 8192


class Refused(Exception):
    """Fit for the author: what the broker refuses, and why."""


class Target(NamedTuple):
    host: str
    port: int
    may_be_private: bool
    is_encrypted: bool = False

    @property
    def authority(self) -> str:
        """As the ``Host`` header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard = _STANDARD_PORTS["https" if self.is_encrypted else "http"]
        return host if self.port == standard else f"{host}:{self.port}"


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
        name = _canonical(name)
        if not colon:
            return cls(name, None)
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"{text!r} has no valid port")
        return cls(name, int(port))

    def covers(self, host: str, port: int) -> bool:
        return self.covers_port(port) and self.covers_name(host)

    def covers_port(self, port: int) -> bool:
        return port == self.port if self.port else port in _STANDARD_PORTS.values()

    def covers_name(self, host: str) -> bool:
        if self.name.startswith("*."):
            return host.endswith(self.name[1:]) and len(host) > len(self.name) - 1
        return host == self.name


class RequestGrant(NamedTuple):
    """``[METHOD[,METHOD…] ]host[:port][/path-prefix]``."""

    host: HostGrant
    methods: frozenset[str]
    """Empty means every method."""
    prefix: Prefix

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError: fit to be shown."""
        methods, space, rest = text.strip().rpartition(" ")
        named = methods.split(",") if space else []
        if not all(map(_METHOD.fullmatch, named)):
            raise ValueError(f"{text!r} names no methods: use `GET host` or `GET,POST host`")
        host, slash, path = rest.partition("/")
        return cls(HostGrant.parse(host), frozenset(named), prefix_of(slash + path) if path else ())

    @property
    def is_whole(self) -> bool:
        return not self.methods and not self.prefix

    def allows_method(self, method: str) -> bool:
        return not self.methods or method in self.methods

    def __str__(self) -> str:
        methods = ", ".join(sorted(self.methods)) or "every method"
        return f"{methods} below /{'/'.join(self.prefix)}" if self.prefix else methods


class HostGrants:
    """What one bundle may reach; nothing by default."""

    def __init__(self, granted: Iterable[str], private: Iterable[HostGrant] = ()) -> None:
        """Raises: ValueError: a grant is malformed.

        ``private``: granted hosts that may resolve to private addresses; without a port, on any.
        """
        self._granted = tuple(map(RequestGrant.parse, granted))
        self._private = tuple(private)

    def target(self, url: httpx.URL, method: str = "GET") -> Target:
        """Raises: Refused: by the grant that comes closest."""
        if len(str(url)) > MAX_URL_CHARACTERS:
            raise Refused(f"the URL is longer than {MAX_URL_CHARACTERS} characters")
        if url.scheme not in _STANDARD_PORTS:
            raise Refused(f"the scheme {url.scheme[:20]!r} is not allowed, only http and https")
        if url.userinfo:
            raise Refused("user info in the URL is not allowed; send a header, or use auth=")
        host = strict_host(url)
        port = _STANDARD_PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port < 65536:
            raise Refused(f"{host} has no port {port}")
        if not self.covers(host, port):
            raise Refused(self._why_not_covered(host, port))
        self._require_request(host, port, url, method)
        private = any(
            grant.covers_name(host) and grant.port in {None, port} for grant in self._private
        )
        return Target(host, port, private, url.scheme == "https")

    def covers(self, host: str, port: int) -> bool:
        return any(grant.host.covers(host, port) for grant in self._granted)

    def is_restricted(self, target: Target) -> bool:
        """No grant gives this host as a whole."""
        grants = self._of(target.host, target.port)
        return bool(grants) and not any(grant.is_whole for grant in grants)

    def _of(self, host: str, port: int) -> list[RequestGrant]:
        return [grant for grant in self._granted if grant.host.covers(host, port)]

    def _require_request(self, host: str, port: int, url: httpx.URL, method: str) -> None:
        grants = self._of(host, port)
        fitting = [grant for grant in grants if grant.allows_method(method)]
        if not grants or any(not grant.prefix for grant in fitting):
            return
        path = path_of(url)
        below = any(is_below(path, grant.prefix) for grant in fitting)
        if below and not is_ambiguous(path):
            return
        said = f"{host} is granted for {' or '.join(map(str, fitting or grants))} only"
        if below:
            said += "; a path with `..`, `//`, `;`, `\\` or encoded separators is not accepted"
        raise Refused(said)

    def _why_not_covered(self, host: str, port: int) -> str:
        ports = {grant.host.port for grant in self._granted if grant.host.covers_name(host)}
        if not ports:
            return f"the host {host}:{port} is not granted to this server; ask for it"
        named = sorted(port for port in ports if port) + ([80, 443] if None in ports else [])
        said = " and ".join(map(str, named))
        return f"the host {host}:{port} is not granted to this server, only its port {said}"


def strict_host(url: httpx.URL) -> str:
    """Lower case, without the dot of the root, an address in its one canonical form.

    Raises: Refused: it could mean another host to somebody else.
    """
    raw = url.raw_host.decode("ascii").lower()
    if not raw:
        raise Refused("the URL names no host")
    if ":" in raw:
        raw = f"[{raw}]"
        if not _IPV6.fullmatch(raw):
            raise Refused("the address in the URL is not valid; a zone is not allowed")
        return _canonical(raw)
    host = raw.removesuffix(".")
    if "*" in host or ".." in host or not _NAME.fullmatch(host):
        raise Refused("the host name in the URL is not valid")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            plain = str(ipaddress.IPv4Address(raw))
        except ValueError:
            plain = ""
        if plain != raw:
            raise Refused(f"{raw[:80]} is no address: write four decimal numbers, as in 192.0.2.1")
    return host


def _canonical(name: str) -> str:
    if not name.startswith("["):
        return name
    try:
        return str(ipaddress.IPv6Address(name[1:-1]))
    except ValueError:
        return name[1:-1]
