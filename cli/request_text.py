"""A request as lines of text: what is asked, the evidence, and the change of the code."""

import difflib
import json
from collections.abc import Iterator

from mcpbox.domain.evidence import Evidence
from mcpbox.domain.modules import PinnedWheel, WheelLock
from mcpbox.domain.requests import RequestDetail, RequestSummary
from mcpbox.domain.tools import ToolVersion, VersionContent
from mcpbox.policies.powers import powers_of
from mcpbox.policies.probation import in_words


def lines_of(request: RequestDetail) -> Iterator[str]:
    yield from _asked(request)
    yield from _new(request)
    yield from _grants(request)
    yield from _risk(request)
    yield from _said(request)
    for piece in request.evidence:
        yield from _evidence(piece)
    if request.proposed is not None:
        yield ""
        yield _difference(request, request.proposed)


def change_of(request: RequestSummary) -> str:
    if request.requirement is not None:
        return f"({request.requirement.beside_module})"
    if request.secret_name is not None:
        return f"(to {', '.join(request.secret_hosts)})"
    return f"({request.access})" if request.access else f"v{request.version_number}"


def _asked(request: RequestDetail) -> Iterator[str]:
    yield f"{request.title} {change_of(request)}: {request.state}"
    yield f"digest     {request.digest}"
    yield f"requester  {request.requester}: {request.notes or 'no notes'}"
    if request.proposed is not None and request.proposed.passes_to is not None:
        upstream = request.proposed.passes_to
        yield f"passes to  {upstream.tool} of {upstream.endpoint.label}"
    if request.probation is not None:
        yield f"probation  {in_words(request.probation)}"


def _new(request: RequestDetail) -> Iterator[str]:
    """What a version may do for the first time, apart from what was approved before."""
    powers = powers_of(request)
    if powers is None:
        return
    listed = (("new", powers.new), ("as before", powers.kept), ("no longer", powers.dropped))
    for word, some in listed:
        for power in some:
            methods = f" ({', '.join(power.methods)})" if power.methods else ""
            yield f"{word:<10} {power.noun} {power.name}{methods}"


def _grants(request: RequestDetail) -> Iterator[str]:
    """What approving gives."""
    if request.access is not None:
        yield f"grants     {request.access}"
    for host in request.secret_hosts:
        yield f"grants     {request.secret_name} to {host}"
    if request.days is not None:
        yield f"holds      {request.days} {'day' if request.days == 1 else 'days'}"
    for noun, names in (
        ("", request.needs.hosts),
        ("the module ", request.needs.modules),
        ("the secret ", request.needs.secrets),
    ):
        for name in names:
            yield f"grants     {noun}{name}"
    if request.lock is not None:
        yield from _packages(request.lock, request.installed)


def _packages(lock: WheelLock, installed: WheelLock | None) -> Iterator[str]:
    changes = lock.changes_since(installed)
    for wheel in changes.added:
        yield f"installs   {_pinned(wheel)}"
    for old, new in changes.replaced:
        yield f"replaces   {old} by {_pinned(new)}"
    for wheel in changes.removed:
        yield f"removes    {wheel}"
    for wheel in changes.kept:
        yield f"keeps      {_pinned(wheel)}"


def _pinned(wheel: PinnedWheel) -> str:
    return f"{wheel}: {wheel.filename} sha256:{wheel.sha256}"


def _risk(request: RequestDetail) -> Iterator[str]:
    if request.score is None:
        return
    yield f"risk       {request.score.points} of 100, {request.score.level}"
    for part in request.score.contributions:
        yield f"           {part.points:>+4}  {part.reason} ({part.check})"


def _said(request: RequestDetail) -> Iterator[str]:
    for vote in request.decisions:
        taken = " (taken back)" if vote.retracted_at else ""
        yield f"round {vote.round}    {vote.reviewer}: {vote.verdict} {vote.reason}{taken}".rstrip()
    for remark in request.comments:
        place = f"line {remark.line}: " if remark.line else ""
        yield f"comment    {remark.author}: {place}{remark.text}"


def _evidence(piece: Evidence) -> Iterator[str]:
    yield f"{piece.status:<10} {piece.check}: {piece.summary}"
    for finding in piece.findings:
        place = f"{finding.line}:{finding.column or 1}: " if finding.line else ""
        yield f"           {finding.level}: {place}{finding.title}: {finding.text}"
    for use in piece.hosts:
        said = "declared" if use.declared else "NOT DECLARED"
        yield (
            f"           {use.host} ({', '.join(use.methods) or 'no method'}): {said}, "
            f"{use.reached} reached, {use.refused} refused"
        )
    for run in piece.runs:
        answer = run.result if run.ok else f"failed: {run.error}"
        before = f" (released: {run.before})" if run.changed else ""
        yield f"           ran {run.made_by} {run.arguments}: {answer}{before}"


def _difference(request: RequestDetail, proposed: ToolVersion) -> str:
    before = _text_of(request.released).split("\n") if request.released else []
    released = f"version {request.released.number}" if request.released else "nothing released"
    lines = difflib.unified_diff(
        before,
        _text_of(proposed).split("\n"),
        released,
        f"version {proposed.number}",
        lineterm="",
    )
    return "\n".join(lines)


def _text_of(version: ToolVersion) -> str:
    """Its code; of one that passes its calls on, all that its source says of it."""
    if version.passes_to is None:
        return version.code
    content = version.model_dump(mode="json", include=set(VersionContent.model_fields) - {"code"})
    return json.dumps(content, indent=2, ensure_ascii=False)
