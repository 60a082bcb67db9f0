"""Bundles known by key, judged once; the ones used longest ago are forgotten first."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sandbox.contract import Bundle, ErrorKind, IsolationMode, RunError, StdioServer
from sandbox.hosts import HostGrant, HostGrants
from sandbox.receipts import Approval


@dataclass(frozen=True)
class Registered:
    key: str
    bundle: Bundle
    grants: HostGrants
    rejection: RunError | None = None
    """Why the guard refuses the code, or what a server that speaks over stdio was not granted."""
    approval: Approval | None = None
    """What its receipt covers; ``None``: it may only be tried."""

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        private_hosts: Iterable[HostGrant] = (),
        approval: Approval | None = None,
    ) -> Self:
        """Not judged by the guard yet. Raises: ValueError: a host grant is malformed."""
        key = bundle.key
        if approval is None:  # a trial leaves nothing behind, whatever its server has chosen
            bundle = bundle.model_copy(update={"isolation": IsolationMode.CALL})
        return cls(key, bundle, HostGrants(bundle.hosts, private_hosts), approval=approval)

    @property
    def trial(self) -> bool:
        return self.approval is None

    @property
    def owner(self) -> str:
        """Whose connections it uses: a trial's are not those of the same code when released."""
        return f"trial/{self.key}" if self.trial else self.key


class Bundles:
    def __init__(self, *, max_count: int = 1024, max_bytes: int = 64 * 2**20) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[str, bool], Registered] = OrderedDict()

    def find(self, key: str, *, trial: bool) -> Registered | None:
        """What was registered for a trial is not known to a released run, and vice versa."""
        found = self._known.get((key, trial))
        if found is not None:
            self._known.move_to_end((key, trial))
        return found

    def add(self, registered: Registered) -> None:
        name = (registered.key, registered.trial)
        known = self._known.pop(name, None)
        if known is not None:
            self._bytes -= _size(known)
        self._known[name] = registered
        self._bytes += _size(registered)
        while len(self._known) > 1 and self._is_full():
            _, oldest = self._known.popitem(last=False)
            self._bytes -= _size(oldest)

    def __len__(self) -> int:
        return len(self._known)

    def _is_full(self) -> bool:
        return len(self._known) > self._max_count or self._bytes > self._max_bytes


def ungranted(stdio: StdioServer, bundle: Bundle) -> RunError | None:
    """Its module has to be one that people granted, and not one that Python has."""
    top = stdio.module.partition(".")[0]
    if bundle.module_set is not None and not {top, stdio.module}.isdisjoint(bundle.modules):
        return None
    message = f"Module {stdio.module!r} is not granted to this server, so it cannot be run."
    return RunError(kind=ErrorKind.REJECTED, message=message)


def _size(registered: Registered) -> int:
    bundle = registered.bundle
    texts = (bundle.source, bundle.receipt or "", *bundle.modules, *bundle.hosts)
    return sum(map(len, texts))
