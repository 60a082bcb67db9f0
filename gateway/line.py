"""Who is on the other end of an HTTP request, and how a call learns that they went away."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from gateway.views import EVERYTHING, View
from mcpbox.domain.people import Principal, Scope


@dataclass(slots=True, eq=False)
class Line:
    """One request of one client.

    A handshake-era call runs in the task of its session, not of its request, so no cancellation
    reaches it when the request ends.
    """

    principal: Principal
    remote: bool = False
    """It comes from outside: over a proxy or a tunnel, or from a public address."""
    view: View = EVERYTHING
    _on_hang_up: set[Callable[[], None]] = field(default_factory=set[Callable[[], None]])
    _ended: bool = False

    @property
    def authoring(self) -> bool:
        """It is shown what helps to write tools: not to those who only call, or see a part."""
        return self.view == EVERYTHING and Scope.AUTHOR in self.principal.scopes

    @contextmanager
    def on_hang_up(self, callback: Callable[[], None]) -> Generator[None]:
        self._on_hang_up.add(callback)
        try:
            if self._ended:
                callback()
            yield
        finally:
            self._on_hang_up.discard(callback)

    @contextmanager
    def held(self) -> Generator[anyio.CancelScope]:
        """What is inside ends when they go away; the scope tells whether they did."""
        scope = anyio.CancelScope()
        with scope, self.on_hang_up(scope.cancel):
            yield scope

    def hang_up(self) -> None:
        self._ended = True
        for callback in tuple(self._on_hang_up):
            callback()
