"""The signed approval of a released version: who, when, with which key, and whether it holds."""

from nicegui import ui

from mcpbox.domain.receipts import Approved, ReleaseReceipt
from ui.parts import box, button, callout, state_badge, text
from ui.visit import Visit
from ui.words import clock, short_digest

_MEDIA_TYPE = "application/vnd.dsse.envelope+json"


def show_receipt(visit: Visit, receipt: ReleaseReceipt | None) -> None:
    """``None``: the release was made without one."""
    if receipt is None:
        callout(
            "high",
            "triangle-alert",
            "This release has no approval receipt",
            "It was made before there were any. The sandbox does not run it: publish it again.",
        )
        return
    with box("page-title"):
        text("Approval receipt", tag="h2")
        state_badge(("Valid", "good") if receipt.valid else ("Not valid", "bad"))
        button("Download", on_click=lambda: _download(receipt))
    if receipt.problem:
        callout("high", "shield-alert", "The sandbox does not run this release", receipt.problem)
    with box("facts"):
        if receipt.approved:
            _show_approved(visit, receipt.approved)
        _fact("Key", ", ".join(map(short_digest, receipt.key_ids)), *receipt.key_ids)


def _show_approved(visit: Visit, approved: Approved) -> None:
    with box("fact"):
        text("Approved by", "k", "div")
        text(", ".join(approved.approved_by) or "nobody", "v", "div")
        visit.stamp(approved.approved_at, "s", relative=True)
    _fact("Digest", short_digest(approved.digest), approved.digest)
    ends = [
        f"{grant.value} until {clock(grant.until)}" if grant.until else grant.value
        for grant in (*approved.hosts, *approved.modules)
    ]
    _fact("Covers", ", ".join(ends) or "no grant")


def _fact(label: str, value: str, *in_full: str) -> None:
    with box("fact"):
        text(label, "k", "div")
        text(value, "v", "div", title=", ".join(in_full))


def _download(receipt: ReleaseReceipt) -> None:
    name = f"receipt-{receipt.tool_id}-v{receipt.version_number}.json"
    ui.download.content(receipt.envelope, name, media_type=_MEDIA_TYPE)
