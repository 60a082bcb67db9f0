"""Which commands each workflow can give, as far as its source and its histories show it.

Requests wait for weeks while MCPbox is updated, and then go on in the new code. Replaying the
recorded histories finds a command that changed on a recorded path; it cannot find one that
changed on a path nobody recorded, and it finds nothing once the histories were recorded anew. So
two things are pinned beside them in ``fingerprints.json``:

- of every workflow, each function that leads to a command, and all that such a function asks, as
  normalized source: without docstrings, annotations, texts, logging and the inputs of activities,
  but with every condition and every order;
- of every history, the sequence of its commands.

Where either differs, a run in flight could meet another command than its history has. It is
accepted with ``python -m tests.replay.fingerprints``, which asks for what keeps those runs going:
a new ``workflow.patched("…")`` in the source, and the older histories as they were. Without runs
in flight anywhere, as before the first release, ``--anew`` accepts it as it is.
"""

import argparse
import ast
import hashlib
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import workflows
from mcpbox.domain.base import DomainModel

PINNED = Path(__file__).parent / "fingerprints.json"
HISTORIES = Path(__file__).parent / "histories"
_OF_ACTIVITIES = frozenset(
    f"{verb}{where}_activity{form}"
    for verb in ("execute", "start")
    for where in ("", "_local")
    for form in ("", "_method")
)
_COMMANDS = _OF_ACTIVITIES | {
    "execute_child_workflow",
    "start_child_workflow",
    "get_external_workflow_handle",
    "continue_as_new",
    "sleep",
    "timeout",
    "wait_condition",
    "wait_for",
    "upsert_search_attributes",
    "upsert_memo",
    "patched",
    "deprecate_patch",
}
_ACTIVITIES = "Activities"
"""A name that ends so, with a method behind it, is an activity that somebody may start."""
_TOLD = ("workflow.logger.", "workflow.set_current_details(")
"""For people; no command comes of it."""
_NO_COMMAND = (
    "WORKFLOW_TASK_",
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
    "WORKFLOW_EXECUTION_STARTED",
    "WORKFLOW_EXECUTION_TERMINATED",
    "WORKFLOW_EXECUTION_TIME_SKIPPING",
    "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
    "ACTIVITY_TASK_STARTED",
    "ACTIVITY_TASK_COMPLETED",
    "ACTIVITY_TASK_FAILED",
    "ACTIVITY_TASK_TIMED_OUT",
    "ACTIVITY_TASK_CANCELED",
    "TIMER_FIRED",
)
"""Events that Temporal or others wrote, beginning like this; all others are commands."""


class Fingerprints(DomainModel):
    patches: tuple[str, ...]
    """Ids of every ``workflow.patched``, in alphabetical order."""
    functions: dict[str, dict[str, str]]
    """``{module: {function, or constant: digest}}``, of those that commands depend on."""
    histories: dict[str, str]
    """``{name: digest of its commands}``"""


def present() -> Fingerprints:
    sources = dict(_sources())
    return Fingerprints(
        patches=tuple(sorted(set(_patches(sources.values())))),
        functions=functions_of(sources),
        histories={
            path.stem: _digest("\n".join(commands_of(json.loads(path.read_text()))))
            for path in sorted(HISTORIES.glob("*.json"))
        },
    )


def pinned() -> Fingerprints:
    return Fingerprints.model_validate_json(PINNED.read_text())


def differences(before: Fingerprints, now: Fingerprints) -> list[str]:
    """What a run in flight could stumble over; what is new hurts nobody."""
    functions = [
        f"{module}.{name}"
        for module in sorted(before.functions | now.functions)
        for name in _changed(before.functions.get(module, {}), now.functions.get(module, {}))
    ]
    histories = [
        f"histories/{name}.json"
        for name, digest in before.histories.items()
        if now.histories.get(name) != digest
    ]
    return [*functions, *histories]


def functions_of(sources: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """``sources``: ``{module: its text}``."""
    parts = {module: dict(_parts(ast.parse(text))) for module, text in sources.items()}
    watched = _watched([one for found in parts.values() for one in found.items()])
    digests = {
        module: {
            name: _digest(ast.unparse(_Normal().visit(node)))
            for name, node in found.items()
            if _bare(name) in watched
        }
        for module, found in parts.items()
    }
    return {module: found for module, found in digests.items() if found}


def commands_of(history: Mapping[str, Any]) -> list[str]:
    """Of a history as JSON: kind and name of each command, in order."""
    found: list[str] = []
    for event in history["events"]:
        kind = event["eventType"].removeprefix("EVENT_TYPE_")
        if kind.startswith(_NO_COMMAND):
            continue
        attributes = next(v for k, v in event.items() if k.endswith("EventAttributes"))
        names = [attributes.get(key) for key in ("activityType", "workflowType")]
        found.append(" ".join([kind, *(name["name"] for name in names if name)]))
    return found


def _sources() -> Iterator[tuple[str, str]]:
    for found in pkgutil.iter_modules(workflows.__path__):
        module = importlib.import_module(f"workflows.{found.name}")
        yield found.name, inspect.getsource(module)


def _parts(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Functions by their name, methods by that of their class; tables by that of the variable."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node
            case ast.ClassDef():
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                        yield f"{node.name}.{inner.name}", inner
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node
            case _:
                pass


def _watched(parts: Iterable[tuple[str, ast.stmt]]) -> set[str]:
    """Bare names of what gives a command, of what leads there, and of what is asked on the way."""
    mentions = [(_bare(name), set(_names(node))) for name, node in parts]
    watched = {name for name, names in mentions if names & _COMMANDS or _ACTIVITIES in names}
    while more := {n for n, names in mentions if names & watched} - watched:
        watched |= more
    known = {name for name, _ in mentions}
    while (
        more := {n for name, names in mentions if name in watched for n in names & known} - watched
    ):
        watched |= more
    return watched


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(_Normal().visit(deepcopy(node))):
        match inner:
            case ast.Attribute(value=ast.Name(id=owner)) if owner.endswith(_ACTIVITIES):
                yield _ACTIVITIES
            case ast.Attribute(attr=name) | ast.Name(id=name):
                yield name
            case _:
                pass


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _patches(sources: Iterable[str]) -> Iterator[str]:
    for text in sources:
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="patched" | "deprecate_patch"),
                    args=[ast.Constant(value=str() as patch_id)],
                ):
                    yield patch_id
                case _:
                    pass


class _Normal(ast.NodeTransformer):
    """Without what no command depends on."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) or _tells_only(node.value):
            return None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _OF_ACTIVITIES:
            # Which one it is is held against the history; what it is given is not.
            node.args, node.keywords = node.args[:1], []
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return node
        return self.visit(ast.Assign(targets=[node.target], value=node.value, lineno=0))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant(value="")

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(value="") if isinstance(node.value, str) else node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        visited = self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return visited


def _tells_only(node: ast.expr) -> bool:
    return ast.unparse(node).startswith(_TOLD)


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return sorted(n for n in before.keys() | now.keys() if before.get(n) != now.get(n))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Accept the commands that workflows give now.")
    parser.add_argument("--anew", action="store_true", help="No run that began before is left.")
    anew: bool = parser.parse_args(arguments).anew
    now = present()
    if not anew and PINNED.exists():
        before = pinned()
        lost = [n for n, digest in before.histories.items() if now.histories.get(n) != digest]
        if lost:
            return _refused(
                f"Keep {', '.join(lost)} as it was, and record the new way under another name."
            )
        if differences(before, now) and not set(now.patches) - set(before.patches):
            return _refused(
                "Put the change behind a new workflow.patched(…): runs in flight have the old."
            )
    PINNED.write_text(now.model_dump_json(indent=1) + "\n")
    return 0


def _refused(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
