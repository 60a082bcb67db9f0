"""``python -m tests.corpus``: one JSON object on standard output, progress on standard error."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.corpus import world
from tests.corpus.modes import MODES, ORDINARY_ID, cannot_be_made
from tests.corpus.snippets import HERE, Abuse, Honest, abuse_in, honest_in
from tests.corpus.subjects import Naive, NotStarted, sandbox_in
from tests.corpus.targets import Targets
from tests.corpus.trial import Counts, Trial

ABUSE = (HERE / "abuse.jsonl", HERE / "boundary.jsonl")
_CONTROL = "control"


@dataclass(frozen=True)
class Plan:
    abuse: Sequence[Abuse]
    honest: Sequence[Honest]
    abuse_guarded: bool
    honest_guarded: bool
    modes: Sequence[str]
    wall_s: float


def main() -> None:
    given = _arguments()
    if not world.is_inside():
        reason = world.enter(sys.argv[1:])
        sys.exit(f"The corpus cannot be run here, apart from this machine: {reason}.")
    world.furnish()
    plan = Plan(
        abuse=[one for path in given.abuse or ABUSE for one in abuse_in(path)],
        honest=honest_in(given.benign),
        abuse_guarded=given.guard == "on",
        honest_guarded=given.guard != "off",
        modes=given.mode or [*MODES, _CONTROL],
        wall_s=given.wall,
    )
    try:
        counted = asyncio.run(_run(plan))
    except NotStarted as error:
        sys.exit(f"The sandbox does not start, where it should: {error}")
    sys.stdout.write(json.dumps({name: counts.as_json() for name, counts in counted.items()}))
    sys.stdout.write("\n")


async def _run(plan: Plan) -> dict[str, Counts]:
    counted: dict[str, Counts] = {}
    for name in plan.modes:
        reason = cannot_be_made(MODES[name]) if name in MODES else None
        if reason is None:
            counted[name] = await _try_one(name, plan)
        else:
            _note(f"{name}: cannot be made here: {reason}")
    return counted


async def _try_one(name: str, plan: Plan) -> Counts:
    """Raises: NotStarted."""
    counts = Counts()
    mode = MODES.get(name)
    user = ORDINARY_ID if mode is None else mode.user
    with tempfile.TemporaryDirectory(prefix="corpus-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103  others try to get in, and must not fail for that
        targets = Targets(Path(directory), user, wall_s=plan.wall_s)
        trial = Trial(targets, plan.wall_s, lambda text: _note(f"{name}: {text}"))
        async with targets.listening():
            if mode is None:
                naive = Naive(targets, plan.wall_s)
                await trial.abuse(naive, plan.abuse, counts, guarded=False)
            else:
                async with sandbox_in(name, mode, targets, plan.wall_s) as sandbox:
                    _note(f"{name}: {json.dumps(sandbox.started)}")
                    await trial.honest(sandbox, plan.honest, counts, guarded=plan.honest_guarded)
                    await trial.abuse(sandbox, plan.abuse, counts, guarded=plan.abuse_guarded)
    _note(f"{name}: {len(counts.through)} of {counts.abuse} got through")
    return counts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--abuse", type=Path, action="append", help="may be repeated")
    parser.add_argument("--benign", type=Path, default=HERE / "benign.jsonl")
    parser.add_argument(
        "--guard",
        choices=("on", "off"),
        help="for both; without it, off for the abuse and on for the honest tools",
    )
    parser.add_argument(
        "--mode", action="append", choices=(*MODES, _CONTROL), help="may be repeated; else all"
    )
    parser.add_argument("--wall", type=float, default=2.0, help="limit of a call, in seconds")
    return parser.parse_args()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
