"""What is new in a version, first and apart from what people approved before."""

from collections.abc import Sequence

from mcpbox.domain.requests import RequestDetail
from mcpbox.policies.powers import Power, PowerNoun, Powers
from ui.parts import box, icon, text
from ui.words import plural

_VERBS = {
    PowerNoun.HOST: ("globe", "Reach"),
    PowerNoun.METHOD: ("globe", "Send"),
    PowerNoun.MODULE: ("package", "Import"),
    PowerNoun.SECRET: ("key-round", "Use the secret"),
    PowerNoun.PATTERN: ("triangle-alert", "In its code:"),
}


def show_powers(request: RequestDetail, powers: Powers) -> None:
    before = request.released.number if request.released else None
    with box("panel powers", "section", aria_label="What is new"):
        with box("line-row wrap"):
            text(_title(powers, before), "grow", "h2")
            if powers.new:
                text(plural(len(powers.new), "thing") + " to weigh", "faint small")
        if not powers.new:
            with box("nothing-new"):
                icon("circle-check")
                text(_nothing(before))
        if powers.new:
            with box("new-powers", "ul"):
                for power in powers.new:
                    _new(request, power)
        _before("Approved before", powers.kept)
        _before("Not needed any more", powers.dropped)


def _title(powers: Powers, before: int | None) -> str:
    if before is None:
        return "What this tool may do"
    return (
        f"New against version {before}" if powers.new else f"Nothing new against version {before}"
    )


def _nothing(before: int | None) -> str:
    if before is None:
        return "It computes alone: no host, no secret, and no module."
    return f"It may do what version {before} may, and nothing beyond it."


def _new(request: RequestDetail, power: Power) -> None:
    name, verb = _VERBS[power.noun]
    with box("asked" if power.asked else "", "li"):
        icon(name)
        with box("grow"):
            with box("line-row wrap"):
                text(verb)
                text(power.name, _face(power, "strong"))
                if power.methods:
                    text(", ".join(power.methods), "chip mono")
            text(_consequence(request, power), "muted small", "div")


def _consequence(request: RequestDetail, power: Power) -> str:
    if power.asked:
        return f"Approving grants it to {request.server_name}; its other tools need not ask again."
    match power.noun:
        case PowerNoun.HOST | PowerNoun.METHOD:
            return f"New to this tool; {request.server_name} holds the host already."
        case PowerNoun.MODULE:
            return f"New to this tool; every tool of {request.server_name} may import it."
        case PowerNoun.SECRET:
            return f"New to this tool; the secret belongs to {request.server_name}."
        case PowerNoun.PATTERN:
            return "Shown at its line below."


def _before(label: str, powers: Sequence[Power]) -> None:
    if not powers:
        return
    with box("old-powers"):
        text(label, "faint small")
        for power in powers:
            with box("chip", "span"):
                icon(_VERBS[power.noun][0], "i-14")
                text(power.name, _face(power))


def _face(power: Power, more: str = "") -> str:
    return more if power.noun is PowerNoun.PATTERN else f"mono {more}"
