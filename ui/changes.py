"""What a request changes, as files to compare."""

import json

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.domain.modules import WheelLock
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.texts import hidden_in
from mcpbox.domain.tools import ToolVersion, VersionContent
from ui.diff import FileDiff, diff_file
from ui.diff_view import Notes
from ui.words import who


def changed_files(request: RequestDetail, against: int | None = None) -> list[FileDiff]:
    """Everything that the digest covers and that differs from the released version.

    ``against``: number of an earlier round, to compare with that instead.
    Slow for long programs: run it beside the event loop.
    """
    before, after = _version_of(request, against), request.proposed
    if after is None:
        return _changed_packages(request)
    packages = _changed_packages(request)
    code = diff_file(code_path(request), before.code if before else "", after.code)
    contract = diff_file(
        contract_path(request), contract_of(before) if before else "", contract_of(after)
    )
    return [file for file in (code, contract, *packages) if file.status != "same"]


def compared_with(request: RequestDetail, against: int | None = None) -> str:
    if against is not None:
        return f"Changes since round {against}"
    if request.released is not None:
        number, passes = request.released.number, request.released.passes_to
        return f"Changes against version {number}, which {'was approved' if passes else 'runs now'}"
    if request.installed is not None:
        return f"Changes against what {request.server_name} has now"
    return "All of it is new"


def _version_of(request: RequestDetail, number: int | None) -> ToolVersion | None:
    if number is None:
        return request.released
    return next((one.version for one in request.rounds if one.number == number), None)


def _changed_packages(request: RequestDetail) -> list[FileDiff]:
    if request.access is not None:
        return [diff_file(f"{request.server_name}/hosts.txt", "", f"{request.access}\n")]
    if request.secret_name is not None:
        lines = "".join(f"{request.secret_name} {host}\n" for host in request.secret_hosts)
        return [diff_file(f"{request.server_name}/secrets.txt", "", lines)]
    if request.lock is None:
        return []
    path = f"{request.server_name}/modules.lock"
    before = "" if request.installed is None else _lock_text(request.installed)
    file = diff_file(path, before, _lock_text(request.lock))
    return [] if file.status == "same" else [file]


def _lock_text(lock: WheelLock) -> str:
    return "".join(
        f"{one.package}=={one.version}  {one.filename}\nsha256:{one.sha256}\n"
        for one in lock.wheels
    )


def code_path(request: RequestDetail) -> str:
    return f"{request.server_name}/{request.tool_name}.py"


def contract_path(request: RequestDetail) -> str:
    return f"{request.server_name}/{request.tool_name}.json"


def contract_of(version: VersionContent) -> str:
    """What clients are told of the tool, and what it needs: the digest without the code."""
    left_out = {"code"} if version.passes_to else {"code", "passes_to"}
    content = version.model_dump(mode="json", include=set(VersionContent.model_fields) - left_out)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def notes_of(request: RequestDetail) -> Notes:
    """Findings and remarks at their line of the code; those on another version are left out."""
    found: list[Finding] = [
        finding
        for evidence in request.evidence
        if evidence.digest == request.digest
        for finding in evidence.findings
        if finding.line
    ]
    found += [
        Finding(level=Risk.LOW, title=who(comment.author)[1], text=comment.text, line=comment.line)
        for comment in request.comments
        if comment.line and comment.digest == request.digest
    ]
    return {code_path(request): found}


def hidden_characters(request: RequestDetail) -> int:
    proposed = request.proposed
    return 0 if proposed is None else hidden_in(proposed.code) + hidden_in(proposed.description)
