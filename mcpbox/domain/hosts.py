"""Hosts that tools may reach: what of one is asked for and granted, in one normal form.

Text form, as the sandbox's contract takes it: ``[METHOD,… ]host[:port][/path-prefix]``.
"""

import ipaddress
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Self, cast

from pydantic import Field, field_validator

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import Invalid

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HOST_MAX_LENGTH = 253
PATH_MAX_LENGTH = 300
_STANDARD_PORTS = frozenset({"", "80", "443"})
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~@:.-]+)*")
_LOCAL_SUFFIXES = (".local", ".localhost", ".internal", ".intranet", ".lan", ".corp", ".home.arpa")
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA = frozenset(map(ipaddress.IPv4Address, ("100.100.100.200", "168.63.129.16")))
_PRIVATE = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    )
)


class HostAccess(DomainModel):
    """One host, and how much of it. Raises: Invalid: it says which part, and what to do."""

    host: str
    """A name or an IPv4 address, lower case, without the dot of the root."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """``None``: the standard ones, 80 and 443."""
    methods: tuple[str, ...] = ()
    """Sorted, without repeats; empty means every method."""
    path_prefix: str = ""
    """``/v1/items``, on whole segments; empty means every path."""

    @field_validator("host")
    @classmethod
    def _normal_host(cls, text: str) -> str:
        host = text.strip().lower().removesuffix(".")
        shown = host[:80]
        if "*" in host:
            raise Invalid(
                "A wildcard is not granted: ask for each host by its name, as the code names it."
            )
        if not host.isascii():
            raise Invalid(f"Write the host {shown!r} in its ASCII form, which begins with xn--.")
        if len(host) > HOST_MAX_LENGTH or not _NAME.fullmatch(host):
            raise Invalid(
                f"{shown!r} is not the name of a host; give it alone, such as api.example.com: "
                "without scheme, port, path or user."
            )
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            _require_reachable(host)
        elif host in _METADATA_NAMES:
            raise Invalid(f"{host!r} is a metadata service; no tool ever reaches one.")
        return host

    @field_validator("methods", mode="before")
    @classmethod
    def _normal_methods(cls, given: object) -> object:
        if not isinstance(given, tuple | list):
            return given
        named = {str(method).strip().upper() for method in cast("list[object]", given)}
        if unknown := sorted(named - set(METHODS)):
            raise Invalid(
                f"{unknown[0][:20]!r} is not a method that can be granted; use some of "
                f"{', '.join(METHODS)}, or none for all of them."
            )
        return tuple(sorted(named))

    @field_validator("path_prefix")
    @classmethod
    def _normal_path(cls, text: str) -> str:
        path = text.strip().rstrip("/")
        dotted = any(not segment.strip(".") for segment in path.split("/")[1:])
        if len(path) > PATH_MAX_LENGTH or not _PATH.fullmatch(path) or dotted:
            raise Invalid(
                "The path prefix has to be plain: whole segments such as /v1/items, of letters, "
                "digits and -._~@: alone, without dot segments, query or percent signs."
            )
        return path

    def __str__(self) -> str:
        methods = f"{','.join(self.methods)} " if self.methods else ""
        return f"{methods}{self.authority}{self.path_prefix}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of what :meth:`__str__` gives. Raises: Invalid."""
        methods, _, rest = text.rpartition(" ")
        authority, slash, path = rest.partition("/")
        host, port = _split(authority)
        return cls(
            host=host,
            port=int(port) if port else None,
            methods=tuple(methods.split(",")) if methods else (),
            path_prefix=slash + path,
        )

    @property
    def authority(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def only_reads(self) -> bool:
        return bool(self.methods) and READING_METHODS.issuperset(self.methods)

    @property
    def looks_private(self) -> bool:
        """Reached only where the operator allows it to the sandbox, whatever is granted."""
        if self.is_address:
            return any(ipaddress.IPv4Address(self.host) in network for network in _PRIVATE)
        return "." not in self.host or self.host.endswith(_LOCAL_SUFFIXES)

    @property
    def is_address(self) -> bool:
        return bool(_NUMBER.fullmatch(self.host.rpartition(".")[2]))

    @property
    def is_encoded(self) -> bool:
        """Holds letters beyond ASCII, which may look like others."""
        return any(label.startswith("xn--") for label in self.host.split("."))

    def allowed_by(self, granted: Iterable[str]) -> bool:
        """Whether one of the grants, in their text form, already allows all of this.

        Some are for hosts that nobody could ask for here, because code named them itself.
        """
        for value in granted:
            if _authority_of(value) == self.authority:
                with suppress(Invalid):
                    if self.within(HostAccess.parse(value)):
                        return True
        return False

    def within(self, other: "HostAccess") -> bool:
        """Whether ``other`` already allows all of this."""
        return (
            (self.host, self.port) == (other.host, other.port)
            and (not other.methods or (bool(self.methods) and {*self.methods} <= {*other.methods}))
            and f"{self.path_prefix}/".startswith(f"{other.path_prefix}/")
        )


def covers(granted: str, needed: str) -> bool:
    """Whether a grant, in its text form, is one for ``needed``: ``host[:port]``, as code names it.

    How much of that host it allows is for the sandbox to say, request by request.
    """
    authority = _authority_of(granted)
    if authority == needed:
        return True
    (host, port), (wanted, wanted_port) = _split(authority), _split(needed)
    return host == wanted and "" in (port, wanted_port) and {port, wanted_port} <= _STANDARD_PORTS


def _authority_of(text: str) -> str:
    return text.rpartition(" ")[2].partition("/")[0]


def _split(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and port.isdigit() else (authority, "")


def _require_reachable(host: str) -> None:
    """Raises: Invalid: no address, or one that no tool ever reaches."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise Invalid(
            f"{host[:80]!r} is no address: write four decimal numbers, as in 192.0.2.1."
        ) from None
    private = any(address in network for network in _PRIVATE)
    if address in _METADATA or not (private or address.is_global) or address.is_multicast:
        raise Invalid(
            f"{host} is a metadata, link-local or reserved address; no tool ever reaches one."
        )
