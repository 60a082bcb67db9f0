"""What the code asks of other servers: methods, hosts, and what of ours goes there."""

import ast
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.policies.static.found import found_at
from mcpbox.policies.static.program import REQUEST_METHODS, Origin, Program

UNKNOWN_METHOD = "any"
MAX_ASKS = 500
_WHOLE_HOST = re.compile(r"https?://([^/?#\s\\]+)[/?#]", re.IGNORECASE)
_BARE_HOST = re.compile(r"https?://([^/?#\s\\]+)$", re.IGNORECASE)
_METHOD = re.compile(r"[A-Z]{1,20}$")


class Ask(NamedTuple):
    """One request that stands in the code."""

    call: ast.Call
    method: str
    """Upper case; :data:`UNKNOWN_METHOD` where it is chosen at run time."""
    host: str
    """Lower case, with the port where one is written; empty where it is chosen at run time."""
    url: ast.expr | None


def asks(program: Program) -> list[Ask]:
    """The first :data:`MAX_ASKS`, in source order."""
    calls = (call for call in program.calls if program.is_request(call))
    return [_ask(program, call) for call in islice(calls, MAX_ASKS)]


def passes_client_on(program: Program) -> ast.Name | None:
    """Where a client is given away: what is asked with it then cannot be read."""
    owners = {id(node.value) for node in program.nodes if isinstance(node, ast.Attribute)}
    return next(
        (
            node
            for node in program.nodes
            if isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and node.id in program.clients - program.imports.keys()
            and id(node) not in owners
        ),
        None,
    )


def network_findings(program: Program) -> Iterator[Finding]:
    found = asks(program)
    for ask in found:
        yield from _about(program, ask)
    if len(found) == MAX_ASKS:
        yield found_at(
            program,
            found[-1].call,
            Risk.HIGH,
            "too-many-requests",
            "Too many requests to read",
            f"Only the first {MAX_ASKS} requests of the code were looked at.",
            "Code that nobody can read whole cannot be approved knowingly.",
        )
    given_away = passes_client_on(program)
    if given_away is not None:
        yield found_at(
            program,
            given_away,
            Risk.MEDIUM,
            "client-passed-on",
            "HTTP client passed on",
            f"{given_away.id!r} is given away as a value, so what it asks for cannot be read here.",
            "Methods and hosts that are not seen in the code are seen only when they are used.",
        )


def _about(program: Program, ask: Ask) -> Iterator[Finding]:
    where = ask.host or "a host chosen at run time"
    yield found_at(
        program,
        ask.call,
        Risk.LOW,
        "uses-network",
        "Uses the network",
        f"{ask.method} to {where}.",
        "What it sends leaves this machine, and what it reads may be anything.",
    )
    if ask.url is None:
        return
    from_url = program.origins(ask.url)
    if not ask.host:
        by_caller = Origin.ARGUMENT in from_url
        yield found_at(
            program,
            ask.url,
            Risk.HIGH if by_caller else Risk.MEDIUM,
            "host-at-run-time",
            "Host chosen at run time",
            "The caller's arguments decide where this goes."
            if by_caller
            else "Which host this reaches is not written in the code.",
            "Whoever steers the value can have data sent to any host that is granted; write the "
            "scheme and the host as one constant text.",
        )
    elif Origin.ARGUMENT in from_url:
        yield found_at(
            program,
            ask.url,
            Risk.LOW,
            "arguments-in-url",
            "Arguments in the address",
            f"The caller's arguments become part of an address at {ask.host}.",
            "Addresses are logged on the way; pass what is private in the body, quoted.",
        )
    if Origin.SECRET in from_url:
        yield found_at(
            program,
            ask.url,
            Risk.HIGH,
            "secret-in-url",
            "Secret in the address",
            f"A secret becomes part of an address at {where}.",
            "Addresses stand in logs and in caches; send a secret in a header.",
        )
    rest = [arg for arg in (*ask.call.args, *(k.value for k in ask.call.keywords)) if arg]
    sent = {origin for arg in rest if arg is not ask.url for origin in program.origins(arg)}
    if Origin.SECRET in sent:
        yield found_at(
            program,
            ask.call,
            Risk.LOW if ask.host else Risk.HIGH,
            "sends-secret",
            "Sends a secret",
            f"A secret goes to {where}.",
            "It must be the host that the secret is for.",
        )
    if Origin.ANSWER in sent | from_url and Origin.SECRET not in sent and ask.method != "GET":
        yield found_at(
            program,
            ask.call,
            Risk.MEDIUM,
            "relays-answers",
            "Passes answers on",
            f"What one server answered goes to {where}.",
            "That is the way data is carried out of the place it belongs to.",
        )


def _ask(program: Program, call: ast.Call) -> Ask:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    arguments = list(call.args)
    if method in ("request", "stream"):
        given = keywords.get("method") or (arguments.pop(0) if arguments else None)
        text = program.constant(given) if given is not None else None
        known = (text or "").upper()
        method = known if _METHOD.match(known) else UNKNOWN_METHOD
    elif method in REQUEST_METHODS:
        method = method.upper()
    url = keywords.get("url") or (arguments[0] if arguments else None)
    return Ask(call, method, host_of(program, url), url)


def host_of(program: Program, url: ast.expr | None) -> str:
    """Empty unless the constant beginning of the text holds all of it."""
    if url is None:
        return ""
    beginning, whole = _beginning(program, url)
    found = _WHOLE_HOST.match(beginning) or (whole and _BARE_HOST.match(beginning))
    if not found:
        return ""
    host = found[1].rpartition("@")[2].lower()
    return host if host.isprintable() else ""


def _beginning(program: Program, url: ast.expr) -> tuple[str, bool]:
    """The text it always begins with, and whether that is all of it."""
    text = ""
    for part in _parts(url):
        constant = program.constant(part)
        if constant is None:
            return text + _before_placeholder(program, part), False
        text += constant
    return text, True


def _before_placeholder(program: Program, part: ast.expr) -> str:
    """Of ``"https://host/{}".format(x)`` and ``"https://host/%s" % x``."""
    match part:
        case ast.Call(func=ast.Attribute(value=template, attr="format")):
            return (program.constant(template) or "").partition("{")[0]
        case ast.BinOp(left=template, op=ast.Mod()):
            return (program.constant(template) or "").partition("%")[0]
        case _:
            return ""


def _parts(url: ast.expr) -> list[ast.expr]:
    """What a text is put together from, in order; a loop, for a sum may have thousands."""
    parts: list[ast.expr] = []
    waiting = [url]
    while waiting:
        match waiting.pop():
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                waiting += [right, left]
            case ast.JoinedStr(values=values):
                waiting += reversed(values)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                waiting.append(value)
            case part:
                parts.append(part)
    return parts
