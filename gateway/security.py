"""The security settings in memory: they act on the next call, and are the strictest until known."""

from collections.abc import Awaitable, Callable

import anyio
import structlog

from mcpbox.domain.errors import Unavailable
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.policies.redaction import Redactor
from mcpbox.usecases.outputs import redactor_for

_RETRY_S = 0.5
log = structlog.get_logger()
LoadSettings = Callable[[], Awaitable[SecuritySettings]]


class SettingsInForce:
    def __init__(self, load: LoadSettings, on_changed: Callable[[], None]) -> None:
        self._load = load
        self._on_changed = on_changed
        self._wake = anyio.Event()
        self.current = SecuritySettings()
        self.redactor: Redactor | None = Redactor()
        """``None``: what tools answer is not looked at."""

    def changed(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Load after every change, for ever; again and again while Postgres is away."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            try:
                self._take(await self._load())
            except Unavailable:
                log.warning("settings.load_failed")
                await anyio.sleep(_RETRY_S)
                self._wake.set()

    def _take(self, settings: SecuritySettings) -> None:
        if settings == self.current:
            return
        self.current = settings
        self.redactor = redactor_for(settings)
        log.info("settings.loaded")
        self._on_changed()
