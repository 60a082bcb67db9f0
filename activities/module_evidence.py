"""What reviewers are shown of the packages that a module needs, in words."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.ids import Digest
from mcpbox.domain.modules import (
    Checked,
    LockChanges,
    PackageFacts,
    Vulnerability,
    WheelContents,
    WheelLock,
)

_YOUNG = timedelta(days=90)
_SHOWN = 300
_SERIOUS = {"critical": Risk.CRITICAL, "high": Risk.HIGH}


def unresolved(digest: Digest, reason: str) -> Evidence:
    return _evidence(Check.PACKAGES, digest, Status.FAILED, reason)


def packages(
    lock: WheelLock, contents: Sequence[WheelContents], installed: WheelLock | None
) -> Evidence:
    """``installed``: what the server's tools have now."""
    changes = lock.changes_since(installed)
    findings = [*_changed(changes), *_remarks(contents)]
    names = ", ".join(str(wheel) for wheel in changes.added) or "nothing new"
    return _evidence(
        Check.PACKAGES,
        lock.digest,
        Status.WARNING if findings else Status.PASSED,
        f"Installs {names}: wheels only, each pinned by its hash.",
        findings,
        {
            str(wheel): f"{one.sentence} SHA-256 {wheel.sha256}"
            for wheel, one in zip(lock.wheels, contents, strict=True)
        },
    )


def vulnerabilities(lock: WheelLock, found: Checked[tuple[Vulnerability, ...]]) -> Evidence:
    if found.value is None:
        return _not_checked(Check.VULNERABILITIES, lock, found.not_checked)
    findings = [
        Finding(
            level=_SERIOUS.get(one.severity.lower(), Risk.MEDIUM),
            title=f"{one.id} in {one.package} {one.version}",
            text=" ".join(
                part
                for part in (
                    one.summary[:_SHOWN],
                    f"Severity: {one.severity}." if one.severity else "Nobody rated it.",
                    f"Fixed in {', '.join(one.fixed_in)}." if one.fixed_in else "No fix is known.",
                )
                if part
            ),
        )
        for one in found.value
    ]
    asked = counted(len(lock.wheels), "package")
    return _evidence(
        Check.VULNERABILITIES,
        lock.digest,
        Status.FAILED if findings else Status.PASSED,
        f"{counted(len(findings), 'known vulnerability', 'known vulnerabilities')} in {asked}."
        if findings
        else f"None is known for {asked} (OSV).",
        findings,
    )


def package_facts(lock: WheelLock, found: Sequence[Checked[PackageFacts]]) -> Evidence:
    """``found``: one for each wheel of the lock, in its order."""
    unknown = [
        (wheel, one) for wheel, one in zip(lock.wheels, found, strict=True) if one.value is None
    ]
    if len(unknown) == len(found):
        return _not_checked(Check.PACKAGE_FACTS, lock, unknown[0][1].not_checked)
    known = [one.value for one in found if one.value is not None]
    findings = [finding for facts in known for finding in _doubts(facts)]
    findings += [
        Finding(level=Risk.MEDIUM, title="Not checked", text=f"{wheel.package}: {one.not_checked}")
        for wheel, one in unknown
    ]
    return _evidence(
        Check.PACKAGE_FACTS,
        lock.digest,
        Status.WARNING if findings else Status.PASSED,
        f"{counted(len(findings), 'remark')} on {counted(len(found), 'package')}."
        if findings
        else "Nothing unusual about age, licence or releases.",
        findings,
        {f"{facts.package} {facts.version}": _sentence(facts) for facts in known},
    )


def _changed(changes: LockChanges) -> list[Finding]:
    found: list[Finding] = []
    for old, new in changes.replaced:
        text = f"{old}, which tools use now, becomes {new.version}."
        found.append(Finding(level=Risk.MEDIUM, title="Changed package", text=text))
    for gone in changes.removed:
        text = f"{gone.package} is no longer installed."
        found.append(Finding(level=Risk.MEDIUM, title="Removed package", text=text))
    return found


def _remarks(contents: Sequence[WheelContents]) -> list[Finding]:
    found: list[Finding] = []
    for one in contents:
        if one.native:
            text = f"{one.package} holds machine code, which no check of ours can read."
            found.append(Finding(level=Risk.MEDIUM, title="Native code", text=text))
        if one.pth_files:
            text = f"{one.package} brings {', '.join(one.pth_files)}, which is left out."
            found.append(Finding(level=Risk.HIGH, title="Start-up hook", text=text))
    return found


def _doubts(facts: PackageFacts) -> list[Finding]:
    name = f"{facts.package} {facts.version}"
    found: list[Finding] = []
    if facts.yanked:
        text = f"{name} was taken back: {facts.yanked_reason or 'no reason given'}."
        found.append(Finding(level=Risk.HIGH, title="Yanked", text=text))
    if _is_young(facts.first_released_at):
        text = f"The first release of {facts.package} is younger than {_YOUNG.days} days."
        found.append(Finding(level=Risk.HIGH, title="Young package", text=text))
    if facts.release_count == 1:
        text = f"{facts.package} has one release only."
        found.append(Finding(level=Risk.MEDIUM, title="One release", text=text))
    if not facts.license:
        text = f"{facts.package} names no licence."
        found.append(Finding(level=Risk.LOW, title="No licence", text=text))
    return found


def _is_young(first: datetime | None) -> bool:
    return first is not None and utc_now() - first < _YOUNG


def _sentence(facts: PackageFacts) -> str:
    released = f"released {facts.released_at:%Y-%m-%d}" if facts.released_at else ""
    newest = "" if facts.latest_version == facts.version else f"newest is {facts.latest_version}"
    parts = [facts.summary[:_SHOWN], facts.license[:80], facts.author[:80], released, newest]
    return "; ".join(part for part in parts if part)


def _not_checked(check: Check, lock: WheelLock, reason: str) -> Evidence:
    return _evidence(check, lock.digest, Status.MISSING, f"Not checked: {reason}.")


def _evidence(
    check: Check,
    digest: Digest,
    status: Status,
    summary: str,
    findings: Sequence[Finding] = (),
    facts: dict[str, str] | None = None,
) -> Evidence:
    return Evidence(
        check=check,
        digest=digest,
        status=status,
        summary=summary,
        findings=tuple(findings),
        facts=facts or {},
        checked_at=utc_now(),
    )
