"""Small parts that every page is made of."""

from collections.abc import Callable
from datetime import datetime

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from mcpbox.domain.evidence import Risk
from mcpbox.domain.texts import legible
from ui.assets import ASSETS
from ui.words import Tone, age, ago, clock, risk_word

Stamp = tuple[TextElement, datetime, Callable[[datetime, datetime], str]]


def symbol(name: str) -> str:
    """An icon of our sprite, as Quasar wants it."""
    return f"svguse:{ASSETS}/icons.svg#{name}"


def icon(name: str, classes: str = "") -> Element:
    """Says nothing to a screen reader: the words beside it do."""
    element = ui.icon(symbol(name)).classes(f"i {classes}")
    return attributes(element, {"aria-hidden": "true"})


def box(classes: str = "", tag: str = "div", **values: str) -> Element:
    return attributes(ui.element(tag).classes(classes), values)


def text(value: str, classes: str = "", tag: str = "span", **values: str) -> TextElement:
    """Text in an element of choice: Vue escapes it, and what would hide in it is spelled out."""
    element = TextElement(tag=tag, text=legible(value)).classes(classes)
    attributes(element, values)
    return element


def link(target: str, classes: str = "", **values: str) -> Element:
    """``target`` is a path of ours."""
    if not target.startswith("/"):
        raise ValueError(f"not a path of the panel: {target!r}")
    return box(classes, "a", href=target, **values)


def attributes(element: Element, values: dict[str, str]) -> Element:
    """Set attributes one by one: ``.props("…")`` would parse what authors wrote.

    Python spells ``aria-label`` as ``aria_label``. A name never comes from outside, because
    NiceGUI evaluates the value of one that begins with a colon.
    """
    for name, value in values.items():
        element.props[name.replace("_", "-").removesuffix("-")] = legible(value)
    return element


def button(
    label: str = "",
    *,
    kind: str = "plain",
    name: str | None = None,
    key: str | None = None,
    on_click: Callable[[], object] | None = None,
) -> ui.button:
    with ui.button(label, on_click=on_click, color=None).classes(f"btn {kind}") as element:
        element.props("flat no-caps no-wrap :ripple=false")
        if key:
            text(key, tag="kbd", aria_hidden="true")
    if name:
        element.props["icon"] = symbol(name)
    return element


def choice(label: str, *, on: bool, on_click: Callable[[], object], name: str = "") -> Element:
    """One of a row of choices that change the page in place."""
    with box("on" if on else "", "button", type="button", aria_pressed=str(on).lower()) as element:
        if name:
            icon(name)
        text(label)
    return element.on("click", lambda: on_click(), [])


def risk_badge(risk: Risk | None) -> TextElement:
    """In a word and a colour, never in the colour alone."""
    return text(risk_word(risk), f"risk {risk or 'unknown'}")


def state_badge(words: tuple[str, Tone]) -> TextElement:
    return text(words[0], f"state {words[1]}")


def callout(level: str, name: str, title: str, detail: str = "") -> Element:
    with box(f"callout {level}") as element:
        icon(name)
        with box("grow"):
            text(title, tag="b")
            if detail:
                text(detail, tag="p")
    return element


def blank(name: str, title: str, what_next: str) -> Element:
    """An empty place says what to do next."""
    with box("blank") as element:
        icon(name)
        text(title, tag="h2")
        text(what_next, tag="p")
    return element


def connect_steps() -> None:
    """How an LLM gets here, for places that are empty because none has yet."""
    with box("steps", "ol"):
        with box("", "li"):
            text("Make a token for the client; it is shown once:")
            text("mcpbox clients create laptop --scopes author,call", "command", "code")
        with box("", "li"):
            text("Connect it to the gateway (mcpbox status shows the address), for instance:")
            text(
                "claude mcp add --transport http mcpbox GATEWAY_ADDRESS "
                '--header "Authorization: Bearer TOKEN"',
                "command",
                "code",
            )
        with box("", "li"):
            text("Ask the LLM to write a tool and to request its publication.")
            text("The request appears here by itself.", "faint")


def stamp(moment: datetime, now: datetime, classes: str = "", *, relative: bool = False) -> Stamp:
    """An age that its page keeps young; the exact time is in the title."""
    words = ago if relative else age
    element = text(
        words(moment, now), classes, "time", title=clock(moment), datetime=moment.isoformat()
    )
    return element, moment, words
