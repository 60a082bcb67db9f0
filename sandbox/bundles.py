"""Bundles known by key, judged once; the ones used longest ago are forgotten first."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sandbox.contract import Bundle, RunError
from sandbox.hosts import HostGrant, HostGrants


@dataclass(frozen=True)
class Registered:
    key: str
    bundle: Bundle
    grants: HostGrants
    rejection: RunError | None = None
    """Why the guard refuses the code."""

    @classmethod
    def of(cls, bundle: Bundle, private_hosts: Iterable[HostGrant] = ()) -> Self:
        """Not judged by the guard yet. Raises: ValueError: a host grant is malformed."""
        return cls(bundle.key, bundle, HostGrants(bundle.hosts, private_hosts))


class Bundles:
    def __init__(self, *, max_count: int = 1024, max_bytes: int = 64 * 2**20) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_key: OrderedDict[str, Registered] = OrderedDict()

    def find(self, key: str) -> Registered | None:
        found = self._by_key.get(key)
        if found is not None:
            self._by_key.move_to_end(key)
        return found

    def add(self, registered: Registered) -> None:
        known = self._by_key.pop(registered.key, None)
        if known is not None:
            self._bytes -= _size(known)
        self._by_key[registered.key] = registered
        self._bytes += _size(registered)
        while len(self._by_key) > 1 and self._is_full():
            _, oldest = self._by_key.popitem(last=False)
            self._bytes -= _size(oldest)

    def __len__(self) -> int:
        return len(self._by_key)

    def _is_full(self) -> bool:
        return len(self._by_key) > self._max_count or self._bytes > self._max_bytes


def _size(registered: Registered) -> int:
    bundle = registered.bundle
    return sum(map(len, (bundle.code, *bundle.modules, *bundle.hosts)))
