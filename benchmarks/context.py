"""How much of a model's context the tools take, listed one by one and found by a search.

A token is counted as four bytes of compact JSON in UTF-8: no model's own count, but one that
anybody can repeat, and close to what they have in common for English and JSON.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.many_tools import MOST, many_tools
from gateway.released import prepare
from gateway.tools import TOOLS
from gateway.tools.search import DescribeToolOutput, FoundTool, SearchToolsOutput
from gateway.views import CALL_TOOL, DESCRIBE_TOOL, SEARCH_TOOL

BYTES_PER_TOKEN = 4
FOUND = 10
"""Tools that a search answers with, where nobody asks for another number."""


@dataclass(frozen=True)
class Context:
    """In tokens."""

    listed: int
    """Name, description and input schema of each of :data:`.many_tools.MOST`."""
    searching: int
    """The same of the three tools that a search needs, whatever there is to find."""
    a_search: int
    """What one search answers."""
    a_description: int
    """What describing one tool answers."""


def measure_context() -> Context:
    released = [prepare(tool, {}) for tool in many_tools(MOST)]
    searching = (TOOLS[name].listing for name in (SEARCH_TOOL, DESCRIBE_TOOL, CALL_TOOL))
    found = SearchToolsOutput(
        tools=[
            FoundTool(name=one.name, description=one.tool.version.description)
            for one in released[:FOUND]
        ],
        next=f"Read how one is called with {DESCRIBE_TOOL}, then call it with {CALL_TOOL}.",
    )
    described = DescribeToolOutput(
        name=released[0].name,
        description=released[0].tool.version.description,
        input_schema=dict(released[0].listing.input_schema),
        hints=released[0].tool.version.annotations.model_dump(),
        next=f"Call it with {CALL_TOOL}.",
    )
    return Context(
        listed=_tokens(_shown(one.listing) for one in released),
        searching=_tokens(map(_shown, searching)),
        a_search=_tokens([found.model_dump(mode="json")]),
        a_description=_tokens([described.model_dump(mode="json")]),
    )


def _shown(listing: Any) -> dict[str, Any]:
    """What clients put before a model; hints and icons are for themselves."""
    return {
        "name": listing.name,
        "description": listing.description,
        "input_schema": listing.input_schema,
    }


def _tokens(shown: Iterable[object]) -> int:
    written = json.dumps(list(shown), ensure_ascii=False, separators=(",", ":"))
    return -(-len(written.encode()) // BYTES_PER_TOKEN)
