"""A corpus tried on one subject, and what is counted."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from tests.corpus.snippets import Abuse, Honest, Unfilled, filled
from tests.corpus.subjects import Sandbox, Subject, Tried
from tests.corpus.targets import Targets
from tests.corpus.wire import NotApplicable, adapted

_LATE_S = 5
"""How long after its deadline a call may end on a busy machine."""
_HONEST_WALL_S = 15

Note = Callable[[str], None]


@dataclass
class Counts:
    abuse: int = 0
    through: list[str] = field(default_factory=list[str])
    benign: int = 0
    benign_failed: list[str] = field(default_factory=list[str])
    service_died: int = 0

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Trial:
    def __init__(self, targets: Targets, wall_s: float, note: Note) -> None:
        self._targets = targets
        self._wall_s = wall_s
        self._note = note

    async def abuse(
        self, subject: Subject, corpus: Iterable[Abuse], counts: Counts, *, guarded: bool
    ) -> None:
        for given in corpus:
            await self._targets.renew()
            try:
                abuse = given.filled(self._targets.values())
                abuse = abuse.model_copy(update={"code": adapted(abuse.code)})
            except (Unfilled, NotApplicable) as error:
                self._note(f"not applicable: {given.id}: {error}")
                continue
            tried = await subject.attempt(abuse, guarded=guarded)
            counts.abuse += 1
            in_sandbox = isinstance(subject, Sandbox)
            if await self._got_through(abuse, tried, in_sandbox=in_sandbox):
                counts.through.append(abuse.id)
                if in_sandbox:
                    self._note(f"through: {abuse.id} {_shortened(tried)}")
            if tried.died:
                counts.service_died += 1
                if in_sandbox:
                    self._note(f"the service died: {abuse.id}")

    async def honest(
        self, sandbox: Sandbox, corpus: Iterable[Honest], counts: Counts, *, guarded: bool
    ) -> None:
        for given in corpus:
            counts.benign += 1
            code = filled(given.code, self._targets.values())
            answer, _ = await sandbox.run(code, given.args, guarded=guarded, wall_s=_HONEST_WALL_S)
            origin = self._targets.values()["@@HOST@@"]
            text = json.dumps(answer.get("result")).replace(origin, "@@HOST@@")
            printed = given.stdout in str(answer.get("stdout"))
            if not (answer.get("ok") and json.loads(text) == given.expected and printed):
                counts.benign_failed.append(given.id)
                self._note(f"failed: {given.id} {str(answer)[:300]}")

    async def _got_through(self, abuse: Abuse, tried: Tried, *, in_sandbox: bool) -> bool:
        if in_sandbox and tried.spent_s > self._wall_s + _LATE_S:
            return True
        return self._targets.canary.hits > 0 or await self._succeeded(abuse, tried)

    async def _succeeded(self, abuse: Abuse, tried: Tried) -> bool:
        shown = {name: tried.answer.get(name) for name in ("result", "error", "stdout")}
        marked = abuse.success_marker in json.dumps(shown, ensure_ascii=False)
        kind, _, rest = (abuse.check or "").partition(":")
        match kind:
            case "":
                return marked
            case "same_as_pre":
                return tried.before is not None and tried.answer.get("result") == tried.before
            case "victim_dead":
                return await self._targets.victim_is_dead()
            case "service_dead":
                return tried.died or (abuse.success_marker != "n/a" and marked)
            case "file":
                return os.path.exists(rest)  # noqa: ASYNC240  a local file
            case "file-later":
                await asyncio.sleep(self._wall_s + 4)  # what it left running would write by then
                return os.path.exists(rest)  # noqa: ASYNC240  as above
            case _:
                name, _, most = kind.partition(">")
                if name != "response_mb":
                    raise ValueError(f"{abuse.id}: unknown check {abuse.check!r}")
                return tried.size_bytes > float(most) * 2**20


def _shortened(tried: Tried) -> str:
    return f"{str(tried.answer)[:300]} after {tried.spent_s:.1f} s"
