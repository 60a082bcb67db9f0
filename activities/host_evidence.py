"""What reviewers are shown of a host that tools ask for, in words."""

from collections.abc import Iterable, Mapping

from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.hosts import HostAccess, covers
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.subjects import HostSubject


def host_evidence(
    subject: HostSubject,
    digest: Digest,
    manifests: Mapping[str, Manifest],
    granted_hosts: Iterable[str],
) -> Evidence:
    """``manifests``: {tool name: of its newest version}, of all tools of the server."""
    access = subject.access
    text = str(access)
    naming = sorted(
        name
        for name, manifest in manifests.items()
        if any(covers(text, host) for host in manifest.hosts)
    )
    beside = sorted(value for value in granted_hosts if covers(value, access.authority))
    return Evidence(
        check=Check.HOST,
        digest=digest,
        status=Status.WARNING,
        summary=f"Opens {text} to the tools of {subject.server_name} whose code names it: "
        f"{', '.join(naming) or 'none yet'}.",
        findings=(*_doubts(subject), *_of_use(subject, naming)),
        facts={
            "Host": access.host,
            "Ports": str(access.port) if access.port else "80 and 443",
            "Methods": ", ".join(access.methods) or "every method",
            "Path": f"below {access.path_prefix}/" if access.path_prefix else "every path",
            "Holds": f"for {counted(subject.days, 'day')}"
            if subject.days
            else "until somebody revokes it",
            "Tools that name it": ", ".join(naming) or "none yet",
            "Granted already of it": ", ".join(beside) or "nothing",
        },
        checked_at=utc_now(),
    )


def _doubts(subject: HostSubject) -> Iterable[Finding]:
    access = subject.access
    reads_little = access.only_reads and bool(access.path_prefix)
    yield Finding(
        level=Risk.MEDIUM if reads_little else Risk.HIGH,
        title="New host",
        text=f"What tools of {subject.server_name} know, they can send to {access.authority}.",
    )
    if access.looks_private:
        yield Finding(
            level=Risk.HIGH,
            title="Private host",
            text=f"{access.host} looks like a host of your own network. The sandbox reaches it "
            "only if the operator lists it in MCPBOX_SANDBOX_PRIVATE_HOSTS as well.",
        )
    if access.is_address:
        yield Finding(
            level=Risk.MEDIUM,
            title="Bare address",
            text=f"{access.host} has no name, so no certificate says whose it is.",
        )
    if access.is_encoded:
        yield Finding(level=Risk.HIGH, title="Look-alike", text=_spelled_out(access))


def _spelled_out(access: HostAccess) -> str:
    try:
        shown = access.host.encode().decode("idna")
    except UnicodeError:
        shown = "something that cannot be shown"
    return f"{access.host} is shown as {shown}, which may look like another name."


def _of_use(subject: HostSubject, naming: list[str]) -> Iterable[Finding]:
    if not naming:
        yield Finding(
            level=Risk.LOW,
            title="Not used yet",
            text=f"No tool of {subject.server_name} names {subject.access.authority} in its code.",
        )
