"""What a request asks for, in figures and in words: one way for each kind."""

from collections.abc import Iterator, Sequence

from mcpbox.domain.evidence import Check
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.modules import PinnedWheel, WheelLock
from mcpbox.domain.requests import RequestDetail
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import ToolVersion
from ui.diff import FileDiff
from ui.pages.evidence import in_words, remarks_in_words
from ui.parts import box, icon, text
from ui.words import CHECKS, lasting, plural, reach_of, size


def show_facts(request: RequestDetail, files: Sequence[FileDiff]) -> None:
    with box("facts"):
        if request.proposed is not None:
            _of_version(request, request.proposed, files)
        elif request.lock is not None:
            _of_packages(request, request.lock)
        elif request.access is not None:
            _of_host(request, request.access)
        elif request.secret_name is not None:
            _fact("Secret", request.secret_name, "its value stays with the broker")
            _fact("Goes to", ", ".join(request.secret_hosts), "and nowhere else")
            _fact("Holds", lasting(request.days), "it can be revoked at any time")


def show_consequences(request: RequestDetail) -> None:
    text("You allow it to" if request.proposed else "You allow", "label", "div")
    with box("sheet-list", "ul"):
        for name, sentence in _consequences(request):
            with box("", "li"):
                icon(name, "i-14")
                text(sentence)


def _of_version(request: RequestDetail, proposed: ToolVersion, files: Sequence[FileDiff]) -> None:
    manifest = proposed.manifest
    with box("fact"):
        text("Code" if proposed.passes_to is None else "What it says", "k", "div")
        with box("v"):
            text(f"+{sum(file.added for file in files)}", "plus")
            text(f" \N{MINUS SIGN}{sum(file.removed for file in files)}", "minus")
        text(plural(len(files), "file"), "s", "div")
    _fact(
        "Network",
        plural(len(manifest.hosts), "host") if manifest.hosts else "None",
        ", ".join(manifest.hosts) or "reaches nothing",
    )
    _fact(
        "Secrets",
        plural(len(manifest.secret_names), "secret") if manifest.secret_names else "None",
        ", ".join(manifest.secret_names) or "reads none",
    )
    _fact("Sandbox trial", *in_words(request.evidence, Check.TRIAL))


def _of_packages(request: RequestDetail, lock: WheelLock) -> None:
    changes = lock.changes_since(request.installed)
    news = [*changes.added, *(new for _, new in changes.replaced)]
    kept = f"; {len(changes.kept)} as they are" if changes.kept else ""
    _fact("Packages", f"{len(news)} to install", (_names(news) or "none") + kept)
    _fact("Size", size(lock.total_bytes), f"Wheels for Python {lock.python}, {lock.platform}")
    found, check = request.evidence, Check.VULNERABILITIES
    said = remarks_in_words(found, check, one="found", many="found", none="None found")
    _fact(CHECKS[check], *said)
    check = Check.PACKAGE_FACTS
    said = remarks_in_words(found, check, one="remark", many="remarks", none="No remark")
    _fact(CHECKS[check], *said)


def _of_host(request: RequestDetail, access: HostAccess) -> None:
    ports = str(access.port) if access.port else "80 and 443"
    _fact("Host", access.host, f"Ports {ports}")
    _fact("Methods", ", ".join(access.methods) or "All", "of HTTP and HTTPS alone")
    path = f"below {access.path_prefix}/" if access.path_prefix else "Every path"
    _fact("Paths", path, "on whole segments")
    _fact("Holds", lasting(request.days), "it can be revoked at any time")


def _consequences(request: RequestDetail) -> Iterator[tuple[str, str]]:
    """Icon and sentence."""
    if request.requirement is not None:
        yield from _of_module(request, request.requirement.module)
        return
    if request.access is not None:
        tools = f"Tools of {request.server_name} whose code names {request.access.host}"
        yield "globe", f"{tools} to reach it: {reach_of(request.access)}"
        yield "clock", f"It holds {lasting(request.days)}"
        return
    if request.secret_name is not None:
        hosts = ", ".join(request.secret_hosts)
        yield "key-round", f"Tools of {request.server_name} that name it to send it to {hosts}"
        yield "clock", f"It holds {lasting(request.days)}"
        return
    if request.kind is Kind.ROLLBACK and request.released_number is not None:
        number, now = request.version_number, request.released_number
        yield "history", f"Version {number} to take the place of version {now}, at once"
    if request.kind is Kind.RESTORE:
        yield "history", f"Version {request.version_number}, which a person revoked, to be back"
    yield "bot", "Be called by every client that may call tools"
    for host in request.needs.hosts:
        yield "globe", f"Reach {host}; other tools of {request.server_name} need not ask again"
    if request.needs.modules:
        yield from _of_lock(request)
    for secret in request.proposed.manifest.secret_names if request.proposed else ():
        yield "key-round", f"Read the secret {secret}"


def _of_module(request: RequestDetail, module: str) -> Iterator[tuple[str, str]]:
    yield "package", f"Every tool of {request.server_name} to import {module}"
    yield from _of_lock(request)


def _of_lock(request: RequestDetail) -> Iterator[tuple[str, str]]:
    if request.lock is None:
        return
    changes = request.lock.changes_since(request.installed)
    if changes.added:
        yield "file-code-2", f"The sandbox to install {_names(changes.added)}"
    for old, new in changes.replaced:
        yield "history", f"{old}, which its tools use now, to become {new.version}"
    if changes.removed:
        yield "x", f"{_names(changes.removed)} to be there no more"


def _names(wheels: Sequence[PinnedWheel]) -> str:
    return ", ".join(str(wheel) for wheel in wheels)


def _fact(label: str, value: str, note: str) -> None:
    with box("fact"):
        text(label, "k", "div")
        text(value, "v", "div")
        text(note, "s", "div")
