"""What reviewers are shown of a version's earlier releases, in words."""

from collections.abc import Iterable, Sequence

from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.ids import Digest
from mcpbox.domain.releases import ReleasedVersion, VersionRelease
from mcpbox.domain.subjects import VersionSubject


def release_evidence(
    subject: VersionSubject, digest: Digest, versions: Sequence[ReleasedVersion]
) -> Evidence:
    """``versions``: all of the tool, newest first."""
    wanted = next(one for one in versions if one.version.id == subject.version_id)
    findings = tuple(_findings(wanted, versions))
    return Evidence(
        check=Check.RELEASES,
        digest=digest,
        status=Status.WARNING if findings else Status.PASSED,
        summary=f"Version {subject.version_number} was released "
        f"{counted(len(wanted.releases), 'time')}, as it is now.",
        findings=findings,
        facts={f"{one.active_from:%Y-%m-%d %H:%M} UTC": _told(one) for one in wanted.releases},
        checked_at=utc_now(),
    )


def _findings(wanted: ReleasedVersion, versions: Sequence[ReleasedVersion]) -> Iterable[Finding]:
    last = wanted.last
    if last is not None and wanted.revoked:
        yield Finding(
            level=Risk.HIGH,
            title="Revoked",
            text=f"{last.revoked_by} revoked it at {last.revoked_at:%Y-%m-%d %H:%M} UTC: "
            f"{last.revoke_reason or 'no reason was given'}",
        )
    active = next((one for one in versions if one.active), None)
    if active is not None and active.version.number > wanted.version.number:
        yield Finding(
            level=Risk.MEDIUM,
            title="Older version",
            text=f"It takes the place of version {active.version.number}; what was mended since "
            f"version {wanted.version.number} comes back as it was.",
        )


def _told(release: VersionRelease) -> str:
    until = f"until {release.active_to:%Y-%m-%d %H:%M} UTC" if release.active_to else "until now"
    revoked = f", revoked by {release.revoked_by}" if release.revoked_by else ""
    return f"{until}, approved by {release.approved_by}{revoked}"
