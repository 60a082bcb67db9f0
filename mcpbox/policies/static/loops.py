"""Loops that nothing ends, and those that ask another server as often as it likes."""

import ast
from collections.abc import Iterator

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.policies.static.found import found_at
from mcpbox.policies.static.program import Program, inside

_ENDLESS = frozenset({"itertools.count", "itertools.cycle", "itertools.repeat"})
_ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_LEAVING = (ast.Break, ast.Return, ast.Raise)


def loop_findings(program: Program) -> Iterator[Finding]:
    for node in program.nodes:
        if isinstance(node, ast.While):
            yield from _about_loop(program, node, endless=_always_true(node.test), test=node.test)
        elif isinstance(node, ast.For | ast.AsyncFor):
            yield from _about_loop(
                program, node, endless=_counts_for_ever(program, node), test=None
            )
    yield from _recursion(program)


def _about_loop(
    program: Program,
    loop: ast.While | ast.For | ast.AsyncFor,
    *,
    endless: bool,
    test: ast.expr | None,
) -> Iterator[Finding]:
    body = [node for part in loop.body for node in (part, *inside(part))]
    leaves = any(isinstance(node, _LEAVING) for node in body)
    if endless and not leaves:
        yield found_at(
            program,
            loop,
            Risk.HIGH,
            "endless-loop",
            "Loop without an end",
            "Nothing in this loop leaves it.",
            "It runs until the limit of the sandbox ends the call, every time.",
        )
        return
    asks = next((n for n in body if isinstance(n, ast.Call) and program.is_request(n)), None)
    counted = not endless and (test is None or _is_bound(test))
    if asks is not None and not counted and not _leaves_at_a_bound(body):
        yield found_at(
            program,
            asks,
            Risk.MEDIUM,
            "unbounded-requests",
            "Requests without a limit",
            "How often this asks is up to the other server: no count ends the loop.",
            "One call can send thousands of requests; stop after a number of pages or tries.",
        )


def _recursion(program: Program) -> Iterator[Finding]:
    for name, function in program.functions.items():
        body = [node for part in function.body for node in (part, *inside(part))]
        calls = [node for node in body if isinstance(node, ast.Call)]
        again = next((c for c in calls if isinstance(c.func, ast.Name) and c.func.id == name), None)
        if again is None:
            continue
        asks = any(program.is_request(call) for call in calls)
        yield found_at(
            program,
            again,
            Risk.MEDIUM if asks else Risk.LOW,
            "recursion",
            "Calls itself",
            f"{name} calls itself" + (", and sends requests." if asks else "."),
            "How deep it goes is not written in the code.",
        )


def _always_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _counts_for_ever(program: Program, loop: ast.For | ast.AsyncFor) -> bool:
    match loop.iter:
        case ast.Call(func=func, args=arguments):
            name = program.full_name(func)
            return name in _ENDLESS and (name != "itertools.repeat" or len(arguments) < 2)
        case _:
            return False


def _is_bound(test: ast.expr) -> bool:
    """Something is compared with a number or a constant, as in ``page < 10``."""
    return any(
        isinstance(node, ast.Compare)
        and any(isinstance(op, _ORDERINGS) for op in node.ops)
        and any(_is_fixed(side) for side in (node.left, *node.comparators))
        for node in ast.walk(test)
    )


def _is_fixed(side: ast.expr) -> bool:
    match side:
        case ast.Constant(value=int() | float()):
            return True
        case ast.Name(id=name):
            return name.isupper() or name.startswith(("max", "limit"))
        case _:
            return False


def _leaves_at_a_bound(body: list[ast.AST]) -> bool:
    return any(
        isinstance(node, ast.If)
        and _is_bound(node.test)
        and any(isinstance(part, _LEAVING) for part in (*node.body, *node.orelse))
        for node in body
    )
