"""A server that does not come back by itself: what is wrong, and an admin's three answers."""

from functools import partial

from mcpbox.domain.recovery import Recovery, RecoveryAction, RecoveryState, ResolveDraft
from ui.parts import box, button, callout, link, text
from ui.problems import ApiProblem
from ui.visit import Visit

_ANSWERS = {
    RecoveryAction.RETRY: ("Try again", "primary", "is being tried again"),
    RecoveryAction.STOP: ("Stop the server", "plain", "is stopped"),
    RecoveryAction.IGNORE: ("Leave it as it is", "plain", "is left as it is"),
}


def recovery_callout(visit: Visit, recovery: Recovery | None) -> None:
    """On the server's page; nothing where nothing is wrong."""
    if recovery is None:
        return
    if recovery.state is RecoveryState.RESTORING:
        callout(
            "medium",
            "history",
            "This server is being brought back",
            "The sandbox was started anew. Calls may fail until all its tools are ready again.",
        )
    if recovery.state is not RecoveryState.WAITING:
        return

    async def answer(action: RecoveryAction) -> None:
        try:
            await visit.rest.resolve_recovery(recovery.server_id, ResolveDraft(action=action))
        except ApiProblem as problem:
            visit.show_problem(problem)
        else:
            visit.tell(f"{recovery.server_name} {_ANSWERS[action][2]}")

    with callout("high", "triangle-alert", "This server did not come back", recovery.problem):
        if not visit.visitor.is_admin:
            text("An admin says how to go on.", "muted small")
            return
        with box("line-row wrap"):
            for action, (label, kind, _) in _ANSWERS.items():
                button(label, kind=kind, on_click=visit.steady(partial(answer, action)))


def recoveries_callout(recoveries: list[Recovery]) -> None:
    """On the first page: which servers wait for an answer."""
    waiting = [one for one in recoveries if one.state is RecoveryState.WAITING]
    if not waiting:
        return
    title = "A server did not come back" if len(waiting) == 1 else "Servers did not come back"
    detail = "The sandbox was started anew, and these wait for an admin's answer."
    with callout("high", "triangle-alert", title, detail), box("line-row wrap"):
        for one in waiting:
            with link(f"/servers/{one.server_id}", "small"):
                text(one.server_name)
