"""What was seen in the sandbox, as tables: hosts beside what is declared, and every run."""

from collections.abc import Iterable

from mcpbox.domain.evidence import HostUse, TrialRun
from ui.parts import box, state_badge, text
from ui.words import Tone, milliseconds, plural

_MADE_BY = {"author": "Author's sample", "system": "Made by the system", "recorded": "Recorded"}


def show_hosts(uses: Iterable[HostUse]) -> None:
    with box("table-scroll"), box("observed", "table"):
        _head("Host", "Declared in the code", "Seen in the trial", "")
        with box("", "tbody"):
            for use in uses:
                _host(use)


def _host(use: HostUse) -> None:
    with box("" if use.declared else "odd", "tr"):
        text(use.host, "mono", "td")
        declared = ", ".join(use.methods) or "yes"
        with box("", "td"):
            text(declared if use.declared else "no", "" if use.declared else "strong")
            if use.declared:
                text("granted" if use.granted else "not granted yet", "muted small block")
        with box("", "td"):
            text(_seen(use))
            if use.reason:
                text(use.reason, "muted small block")
        with box("verdict", "td"):
            state_badge(_verdict(use))


def _seen(use: HostUse) -> str:
    parts = [
        plural(use.reached, "request") + " went out" if use.reached else "",
        plural(use.refused, "attempt") + " refused" if use.refused else "",
    ]
    return ", ".join(part for part in parts if part) or "never"


def _verdict(use: HostUse) -> tuple[str, Tone]:
    if not use.declared:
        return ("Undeclared", "bad")
    if use.refused:
        return ("Refused", "warn") if use.granted else ("Not granted yet", "busy")
    return ("As declared", "good") if use.reached else ("Never seen", "idle")


def show_runs(runs: Iterable[TrialRun]) -> None:
    listed = list(runs)
    compared = any(run.before is not None for run in listed)
    with box("table-scroll"), box("observed", "table"):
        if compared:
            _head("Arguments", "Released version", "This version", "")
        else:
            _head("Arguments", "Answer", "Took", "")
        with box("", "tbody"):
            for run in listed:
                _run(run)


def _run(run: TrialRun) -> None:
    with box("odd" if run.changed else "", "tr"):
        with box("", "td"):
            text(run.arguments, "mono small block")
            text(_MADE_BY.get(run.made_by, run.made_by), "muted small")
        answer = run.result if run.ok else run.error
        if run.before is not None:
            text(run.before, "mono small", "td")
        text(answer, "mono small", "td")
        if run.before is None:
            text(milliseconds(run.duration_ms), "muted", "td")
        with box("verdict", "td"):
            state_badge(_outcome(run))


def _outcome(run: TrialRun) -> tuple[str, Tone]:
    if run.before is not None:
        return ("Changed", "warn") if run.changed else ("Same", "good")
    return ("Answered", "good") if run.ok else ("Failed", "bad")


def _head(*labels: str) -> None:
    with box("", "thead"), box("", "tr"):
        for label in labels:
            text(label, tag="th", scope="col")
