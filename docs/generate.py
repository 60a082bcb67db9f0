"""Writes the pages of docs/reference that are made from the code: ``make docs``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from mcp_types import Prompt, Resource, ResourceTemplate
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from api.app import PREFIX, build_api
from api.deps import Parts
from cli.main import app as command_line
from cli.output import Exit
from docs.schemas import (
    Schema,
    about,
    default_of,
    fields,
    named,
    prose,
    structures,
    table,
    type_of,
)
from gateway.definition import AnyTool
from gateway.prompts import WRITE_A_TOOL
from gateway.resource_kinds import KINDS, THE_GUIDE
from gateway.tools import TOOLS

REFERENCE = Path(__file__).parent / "reference"
MADE_BY = "<!-- Made from the code by `make docs`: change the code, not this page. -->"

_HINTS = {
    "read_only_hint": "reads only",
    "destructive_hint": "destroys",
    "idempotent_hint": "may be repeated",
}
_EXITS = {
    Exit.OK: "done",
    Exit.FAILED: "failed in another way than the ones below",
    Exit.USAGE: "wrong options, arguments or settings",
    Exit.NOT_PERMITTED: "not permitted",
    Exit.NOT_FOUND: "no such thing, or no instance here",
    Exit.CONFLICT: "not in the present state, for instance when it runs already",
    Exit.UNAVAILABLE: "a part does not answer, or nothing runs here",
}


def main() -> None:
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())


def mcp_tools() -> str:
    return _page(
        "MCP tools",
        "What an LLM finds at the gateway: the management tools, named `mcpbox_…`.\n"
        "Released tools stand beside them in `tools/list`, named `{server}__{tool}`.\n"
        "The answer of each is structured content; a refusal is a tool error whose text says what "
        "is wrong and what to do.\n"
        "No tool decides on a request: people do.",
        table(
            ("Tool", "What", "Scope", "Hints"),
            [
                (
                    f"[`{tool.name}`](#{tool.name})",
                    tool.title,
                    f"`{tool.scope.value}`",
                    _hints_of(tool),
                )
                for tool in TOOLS.values()
            ],
        ),
        *(block for tool in TOOLS.values() for block in _tool(tool)),
        "## Structures",
        *structures(_structures_of_tools()),
        "## Resources",
        "What a client with the scope `author` can read at `/mcp`, beside calling tools.",
        table(
            ("Resource", "What"),
            [
                (f"`{THE_GUIDE.uri}`", _described(THE_GUIDE)),
                *((f"`{kind.template.uri_template}`", _described(kind.template)) for kind in KINDS),
            ],
        ),
        "## Prompts",
        *_prompt(WRITE_A_TOOL),
    )


def rest() -> str:
    described = _described_api().openapi()
    return _page(
        "REST API",
        "What a program finds at the admin process.\n"
        f"The machine-readable description is at `{PREFIX}/openapi.json`.\n"
        f"Sign in with `POST {PREFIX}/auth/login` and send `Authorization: Bearer <access_token>`; "
        "the token of an MCP client opens nothing here.",
        "Errors are `application/problem+json` in the form of [ProblemBody](#problembody).\n"
        "Lists are `{items, total, page, page_size, pages}`.\n"
        "Beside it, without signing in: `/health` says that the process answers, and `/metrics` "
        "holds counts for Prometheus.",
        *(
            block
            for path, operations in described["paths"].items()
            for method, operation in operations.items()
            for block in _operation(f"{method.upper()} {path}", operation)
        ),
        "## Structures",
        *structures(described["components"]["schemas"]),
    )


def command_line_page() -> str:
    command = get_command(command_line)
    context = Context(command, info_name="mcpbox", max_content_width=100)
    made = get_docs_for_click(
        obj=command, ctx=context, indent=1, name="mcpbox", title="All commands"
    )
    return _page(
        "Command line",
        "After `make up` the command is `.venv/bin/mcpbox`; in a container it is `mcpbox`.\n"
        "It acts on the instance whose data directory the [settings](settings.md) name.",
        "## Exit codes",
        table(("Code", "Meaning"), [(f"{int(code)}", _EXITS[code]) for code in Exit]),
        made.strip(),
    )


PAGES: dict[str, Callable[[], str]] = {
    "mcp-tools.md": mcp_tools,
    "rest.md": rest,
    "cli.md": command_line_page,
}


def _tool(tool: AnyTool) -> Iterator[str]:
    listing = tool.listing
    yield f"## {tool.name}"
    yield prose(listing.description or "")
    if listing.input_schema.get("properties"):
        yield "Takes:"
        yield fields(listing.input_schema)
    else:
        yield "Takes nothing."
    if listing.output_schema is None:
        yield "Gives what the tool that is called gives."
        return
    yield "Gives:"
    yield fields(listing.output_schema)


def _described(resource: Resource | ResourceTemplate) -> str:
    return f"{resource.title}. {resource.description}"


def _prompt(prompt: Prompt) -> Iterator[str]:
    yield f"### {prompt.name}"
    yield prompt.description or ""
    yield table(
        ("Argument", "Needed", "Meaning"),
        [
            (f"`{given.name}`", "yes" if given.required else "no", given.description or "")
            for given in prompt.arguments or ()
        ],
    )


def _hints_of(tool: AnyTool) -> str:
    hints = tool.listing.annotations
    return ", ".join(words for name, words in _HINTS.items() if getattr(hints, name))


def _structures_of_tools() -> dict[str, Schema]:
    """Raises: ValueError: two tools call different things by one name."""
    found: dict[str, Schema] = {}
    for tool in TOOLS.values():
        for schema in (tool.listing.input_schema, tool.listing.output_schema or {}):
            for name, structure in schema.get("$defs", {}).items():
                if found.setdefault(name, structure) != structure:
                    raise ValueError(f"{tool.name} calls something else {name!r}")
    return found


def _described_api() -> FastAPI:
    # Routes reach for their parts when they are called, and here none is.
    return build_api(cast("Parts", None))


def _operation(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}"
    if "description" in operation:
        yield prose(operation["description"])
    if "security" not in operation:
        yield "Needs no token."
    if parameters := operation.get("parameters"):
        yield table(
            ("Parameter", "In", "Type", "Default", "Meaning"),
            [
                (
                    f"`{given['name']}`",
                    given["in"],
                    type_of(given["schema"]),
                    default_of(given["schema"], required=given.get("required", False)),
                    about(given),
                )
                for given in parameters
            ],
        )
    if "requestBody" in operation:
        yield f"Body: {_content(operation['requestBody'])}."
    yield table(
        ("Status", "Answer"),
        [
            (status, _content(answer) or "nothing")
            for status, answer in sorted(operation["responses"].items())
        ],
    )


def _content(body: dict[str, Any]) -> str:
    """Of a request or a response; empty when there is none."""
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return ""
    return named(schema) if "$ref" in schema else type_of(schema)


def _page(title: str, *blocks: str) -> str:
    return "\n\n".join([f"# {title}", MADE_BY, *blocks]) + "\n"


if __name__ == "__main__":
    main()
