"""A tool without code of its own: which tool of which source its calls are passed on to."""

from mcpbox.domain.upstreams import Upstream
from ui.parts import box, icon, text


def passes_on(upstream: Upstream) -> None:
    with box("callout unknown", "section", aria_label="Passes its calls on"):
        icon("plug")
        with box("grow"):
            text("Passes its calls on", tag="b")
            with box("", "p"):
                text("to the tool ")
                text(upstream.tool, "mono")
                text(" of ")
                text(upstream.endpoint.label, "mono")
            text(
                "It has no code here: what it is called, says and takes is its source's word, and "
                "what it does is decided there. Arguments are sent there, and results come from "
                "there.",
                tag="p",
            )
