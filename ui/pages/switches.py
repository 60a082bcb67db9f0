"""What stops a server or a tool at once: how it stands, and the switches themselves."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

from mcpbox.domain.narrowing import Narrowing, Switch
from mcpbox.domain.servers import DesiredState, ServerSummary
from mcpbox.domain.tools import ToolSummary
from ui.confirm import Question, ask_to_confirm
from ui.parts import box, button, icon, text
from ui.problems import ApiProblem
from ui.visit import Visit
from ui.words import who


class _Subject(NamedTuple):
    kind: str
    """``servers`` or ``tools``, as in the API's addresses."""
    id: UUID
    name: str
    quarantine: Narrowing | None
    off: Narrowing | None
    is_off: bool


_QUESTIONS: dict[tuple[str, Switch], Question] = {
    ("servers", Switch.STOP): Question(
        "Stop {}?",
        "None of its tools is listed or called any more, and calls in flight end now.",
        "circle-stop",
        "Stop",
    ),
    ("servers", Switch.START): Question(
        "Start {}?",
        "Its released tools can be listed and called again.",
        "circle-check",
        "Start",
        mark="ok",
        kind="primary",
    ),
    ("servers", Switch.QUARANTINE): Question(
        "Quarantine {}?",
        "It stops now, with every call in flight and every trial. Nothing of it is started, "
        "enabled or tried before an admin lifts the quarantine.",
        "shield-alert",
        "Quarantine",
        needs_reason=True,
    ),
    ("servers", Switch.LIFT): Question(
        "Lift the quarantine of {}?",
        "It stays stopped until somebody starts it.",
        "undo-2",
        "Lift quarantine",
        mark="back",
        kind="primary",
        needs_reason=True,
    ),
    ("servers", Switch.DELETE): Question(
        "Delete {}?",
        "All its tools end now, with every call in flight, and so do its grants and secrets. Its "
        "open requests are withdrawn. Nothing undoes this; to pause it, stop it.",
        "trash-2",
        "Delete",
    ),
    ("tools", Switch.DISABLE): Question(
        "Disable {}?",
        "It is not listed or called any more, and calls in flight end now.",
        "circle-stop",
        "Disable",
    ),
    ("tools", Switch.ENABLE): Question(
        "Enable {}?",
        "Its released version, if it has one, can be called while its server runs.",
        "circle-check",
        "Enable",
        mark="ok",
        kind="primary",
    ),
    ("tools", Switch.REVOKE): Question(
        "Revoke the release of {}?",
        "The released version is gone now, with every call in flight. Only a new decision of "
        "people brings it back.",
        "circle-x",
        "Revoke",
        needs_reason=True,
    ),
    ("tools", Switch.QUARANTINE): Question(
        "Quarantine {}?",
        "It is disabled now, with every call in flight and every trial. It is not enabled or "
        "tried before an admin lifts the quarantine.",
        "shield-alert",
        "Quarantine",
        needs_reason=True,
    ),
    ("tools", Switch.LIFT): Question(
        "Lift the quarantine of {}?",
        "It stays disabled until somebody enables it.",
        "undo-2",
        "Lift quarantine",
        mark="back",
        kind="primary",
        needs_reason=True,
    ),
}
_DONE = {
    Switch.STOP: "{} is stopped",
    Switch.START: "{} runs",
    Switch.DISABLE: "{} is disabled",
    Switch.ENABLE: "{} is enabled",
    Switch.REVOKE: "The release of {} is revoked",
    Switch.QUARANTINE: "{} is quarantined",
    Switch.LIFT: "The quarantine of {} is lifted",
    Switch.DELETE: "{} is deleted",
}


def server_switches(visit: Visit, server: ServerSummary) -> None:
    stopped = server.desired_state is DesiredState.STOPPED
    subject = _Subject(
        "servers", server.id, server.name, server.quarantine, server.stopped, stopped
    )
    _show(
        visit,
        subject,
        "Stopping takes effect at once, on calls in flight too, and needs nobody's approval.",
        [*_offered(visit, subject, Switch.STOP, Switch.START), *_deletion(visit, subject)],
    )


def tool_switches(visit: Visit, tool: ToolSummary) -> None:
    subject = _Subject(
        "tools", tool.id, tool.callable_name, tool.quarantine, tool.disabled, not tool.enabled
    )
    offered = _offered(visit, subject, Switch.DISABLE, Switch.ENABLE)
    if visit.visitor.may_switch and tool.released_version is not None:
        offered.append(Switch.REVOKE)
    _show(
        visit,
        subject,
        "These take effect at once, on calls in flight too, and need nobody's approval.",
        offered,
    )
    if tool.revoked is not None:
        _standing(visit, "Revoked", tool.revoked, "Nothing of it has been released since.")


def _offered(visit: Visit, subject: _Subject, off: Switch, on: Switch) -> list[Switch]:
    """A courtesy: the API decides about each by itself."""
    if not visit.visitor.may_switch:
        return []
    if subject.quarantine is not None:
        return [Switch.LIFT] if visit.visitor.is_admin else []
    return [on if subject.is_off else off, Switch.QUARANTINE]


def _deletion(visit: Visit, subject: _Subject) -> list[Switch]:
    may = visit.visitor.is_admin if subject.quarantine else visit.visitor.may_switch
    return [Switch.DELETE] if may else []


def _show(visit: Visit, subject: _Subject, words: str, offered: Sequence[Switch]) -> None:
    if subject.quarantine is not None:
        rest = "Nothing of it runs until an admin lifts this."
        _standing(visit, "Quarantined", subject.quarantine, rest, level="critical")
    elif subject.is_off and subject.off is not None:
        word = "Stopped" if subject.kind == "servers" else "Disabled"
        _standing(visit, word, subject.off, "None of its calls is let through meanwhile.")
    with box("card"), box("section-head wrap switches"):
        with box("grow"):
            text("Kill switch", tag="h2")
            text(words, "faint small", "p")
        for switch in offered:
            question = _QUESTIONS[subject.kind, switch]
            kind = "plain" if switch.widens else "danger-plain"
            throw = visit.steady(partial(_throw, visit, subject, switch))
            button(question.button, kind=kind, name=question.icon, on_click=throw)
        if not offered:
            needed = "Only an admin lifts it" if subject.quarantine else "For operators and admins"
            text(needed, "faint")


def _standing(
    visit: Visit, word: str, narrowing: Narrowing, rest: str, *, level: str = "medium"
) -> None:
    name = "shield-alert" if level == "critical" else "circle-stop"
    with box(f"callout {level}"):
        icon(name)
        with box("grow"):
            with box("line-row wrap"):
                text(f"{word} by {who(narrowing.by)[1]}", tag="b", title=narrowing.by)
                visit.stamp(narrowing.at, "faint small", relative=True)
            if narrowing.reason:
                text(narrowing.reason, "", "div")
            text(rest, tag="p")


async def _throw(visit: Visit, subject: _Subject, switch: Switch) -> None:
    question = _QUESTIONS[subject.kind, switch]
    asked = question._replace(title=question.title.format(subject.name))
    reason = await ask_to_confirm(visit, asked)
    if reason is None:
        return
    try:
        await visit.rest.throw(subject.kind, subject.id, switch, reason)
    except ApiProblem as problem:
        visit.show_problem(problem)
    else:
        visit.tell(_DONE[switch].format(subject.name))
        if switch is Switch.DELETE:
            visit.client.open(f"/{subject.kind}")
