"""How a server's calls are kept apart: what holds, what the choice trades, and the choice."""

from functools import partial

from mcpbox.domain.servers import IsolationMode, ServerSummary
from ui.parts import box, choice, text
from ui.problems import ApiProblem
from ui.visit import Visit

_TITLE = "How calls are kept apart"
_CHOICES: dict[IsolationMode, tuple[str, str]] = {
    IsolationMode.CALL: (
        "One process per call",
        "Every call gets a fresh process, which ends with it: nothing of a call is visible to the "
        "next.",
    ),
    IsolationMode.RELEASE: (
        "One process per release",
        "Faster: a process serves many calls of one released version. A call may see what earlier "
        "calls of the same release left behind, other people's arguments and results included. "
        "Choose it only for tools whose callers may know all that of each other.",
    ),
}


def isolation_card(visit: Visit, server: ServerSummary) -> None:
    async def choose(mode: IsolationMode) -> None:
        if mode is server.isolation:
            return
        try:
            changed = await visit.rest.set_isolation(server.id, mode)
        except ApiProblem as problem:
            visit.show_problem(problem)
        else:
            visit.tell(f"{changed.name}: {_CHOICES[changed.isolation][0].lower()} from now on")

    with box("card"):
        with box("section-head wrap"):
            text(_TITLE, "grow", "h2")
            if visit.visitor.is_admin:
                with box("seg", role="group", aria_label=_TITLE):
                    for mode, (label, _) in _CHOICES.items():
                        on = mode is server.isolation
                        choice(label, on=on, on_click=visit.steady(partial(choose, mode)))
            else:
                text("Only an admin changes this", "faint")
        with box("trade", "dl"):
            for mode, (label, explanation) in _CHOICES.items():
                with box("on" if mode is server.isolation else ""):
                    text(f"{label} (now)" if mode is server.isolation else label, tag="dt")
                    text(explanation, tag="dd")
