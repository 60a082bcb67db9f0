"""Brings services up in the order of what they need, and down in reverse."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from logging import Logger

from cli.runner import Patience, Service, ServiceRunner, Step, StepRunner, Watcher
from cli.state import ServiceStatus

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    def __init__(
        self,
        services: Sequence[Service],
        steps: Sequence[Step] = (),
        *,
        log: Logger,
        watcher: Watcher,
        on_change: Callable[[list[ServiceStatus]], None],
        on_ready: Callable[[], None],
        patience: Patience = Patience(),  # noqa: B008 (immutable)
    ) -> None:
        self._log = log
        self._on_change = on_change
        self._on_ready = on_ready
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._reached = {part.name: asyncio.Event() for part in (*services, *steps)}
        runners = [
            ServiceRunner(
                service,
                self._reached[service.name],
                log=log,
                watcher=watcher,
                changed=self._changed,
                patience=patience,
            )
            for service in services
        ]
        self._services = runners
        self._parts: list[ServiceRunner | StepRunner] = [
            *runners,
            *(StepRunner(step, self._reached[step.name]) for step in steps),
        ]

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; a second signal kills at once.

        Raises: DomainError: what made it give up, after everything was stopped.
        """
        loop = asyncio.get_running_loop()
        for wanted in _STOP_SIGNALS:
            loop.add_signal_handler(wanted, self.stop)
        try:
            for part in self._parts:
                part.task = asyncio.create_task(part.run(self._needs_of(part)))
                part.task.add_done_callback(self._note_failure)
            everything = asyncio.create_task(self._announce())
            await self._stopping.wait()
            everything.cancel()
        finally:
            await self._stop_in_reverse()
            for wanted in _STOP_SIGNALS:
                loop.remove_signal_handler(wanted)
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """Stop in good order; called again: kill."""
        if self._stopping.is_set():
            for part in self._parts:
                part.kill()
        self._stopping.set()

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error
            self._stopping.set()

    def _needs_of(self, part: ServiceRunner | StepRunner) -> Callable[[], Awaitable[None]]:
        return lambda: self._all_reached(part.needs)

    async def _announce(self) -> None:
        await self._all_reached(tuple(self._reached))
        self._log.info("everything is ready", extra={"service": "mcpbox"})
        self._on_ready()

    async def _all_reached(self, names: Sequence[str]) -> None:
        for name in names:
            await self._reached[name].wait()

    async def _stop_in_reverse(self) -> None:
        """Each part stops as soon as all that came after it have."""
        stopped = {part.name: asyncio.Event() for part in self._parts}

        async def stop(part: ServiceRunner | StepRunner) -> None:
            for later in self._parts:
                if part.name in later.needs:
                    await stopped[later.name].wait()
            await part.stop()
            stopped[part.name].set()

        await asyncio.gather(*map(stop, self._parts))

    def _changed(self) -> None:
        self._on_change([runner.status for runner in self._services])
