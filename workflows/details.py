"""What a request says about itself in Temporal's Web UI: Markdown, no code, no arguments."""

from datetime import datetime

from mcpbox.domain.requests import Outcome, RequestDraft
from workflows.contracts import PresentedRequest


def details(
    draft: RequestDraft,
    outcome: Outcome,
    presented: PresentedRequest | None,
    *,
    expires_at: datetime,
) -> str:
    digest = (presented.digest if presented else None) or draft.digest
    lines = [
        f"### {draft.subject.label}: {outcome.state}",
        "",
        outcome.state_reason,
        "",
        "| | |",
        "|---|---|",
        f"| requested by | {draft.requester} |",
        f"| digest | `{digest}` |",
        f"| expires | {expires_at:%Y-%m-%d %H:%M} UTC |",
    ]
    if presented is not None:
        lines.append(f"| risk | {presented.risk} |")
        lines += [
            f"| {line.check} | **{line.status}** {_cell(line.summary)} |"
            for line in presented.evidence
        ]
    if draft.notes:
        lines += ["", *(f"> {line}" for line in draft.notes.splitlines())]
    if outcome.state.decidable:
        lines += [
            "",
            "To decide, read it in the panel, then:",
            "",
            f"    temporal workflow signal --workflow-id '<this id>' --name decide --input "
            f'\'{{"verdict": "approve", "reviewer": "admin", "reason": "…", '
            f'"seen_digest": "{digest}"}}\'',
        ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
