"""What a source offers, as tools of ours: their names, their contents, and where each stands."""

import json
import re
from collections.abc import Iterable

from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Invalid
from mcpbox.domain.external_sources import (
    ImportedTool,
    ListedTool,
    Offer,
    OfferedTool,
    known_annotations,
)
from mcpbox.domain.ids import Digest
from mcpbox.domain.tools import NAME_MAX_LENGTH, Annotations, VersionContent
from mcpbox.domain.upstreams import TOOL_NAME_MAX_LENGTH, Endpoint, Upstream
from mcpbox.policies.schemas import SCHEMA_MAX_CHARS, require_schema

DESCRIPTION_MAX_LENGTH = 10_000
_OTHER = re.compile(r"[^a-z0-9]+")


def name_of(tool: ListedTool) -> str:
    """Its name here: small letters, digits and single ``_``, beginning with a letter."""
    name = _OTHER.sub("_", tool.name.lower()).strip("_")
    if not name[:1].isalpha():
        name = f"t_{name}".rstrip("_")
    return name[:NAME_MAX_LENGTH].rstrip("_")


def content_of(endpoint: Endpoint, tool: ListedTool) -> VersionContent:
    """What people approve of it. Raises: Invalid: it cannot be used here, and why."""
    if len(tool.description) > DESCRIPTION_MAX_LENGTH:
        raise Invalid(f"Its description is longer than {DESCRIPTION_MAX_LENGTH} characters.")
    if not 0 < len(tool.name) <= TOOL_NAME_MAX_LENGTH:
        raise Invalid(f"Its name is longer than {TOOL_NAME_MAX_LENGTH} characters.")
    require_schema(tool.input_schema)
    if len(json.dumps(tool.output_schema)) > SCHEMA_MAX_CHARS:
        raise Invalid(f"Its output_schema is longer than {SCHEMA_MAX_CHARS} characters of JSON.")
    return VersionContent(
        name=name_of(tool),
        description=tool.description,
        code="",
        input_schema=tool.input_schema,
        annotations=Annotations(**known_annotations(tool.annotations)),
        manifest=endpoint.manifest,
        passes_to=Upstream(
            endpoint=endpoint, tool=tool.name, title=tool.title, output_schema=tool.output_schema
        ),
    )


def offers(
    endpoint: Endpoint, listed: Iterable[ListedTool], ours: Iterable[ImportedTool]
) -> tuple[OfferedTool, ...]:
    """By name. ``ours``: what was imported from the source, whatever became of it."""
    known = {tool.source_name: tool for tool in ours}
    found: list[OfferedTool] = []
    taken: set[str] = set()
    for tool in sorted(listed, key=lambda one: one.name):
        offered = _offered(endpoint, tool, known.pop(tool.name, None))
        if offered.name in taken:
            problem = f"Another tool of the source is called {offered.name!r} here."
            offered = offered.model_copy(update={"offer": Offer.UNUSABLE, "problem": problem})
        taken.add(offered.name)
        found.append(offered)
    found += [_gone(tool) for tool in known.values()]
    return tuple(sorted(found, key=lambda one: (one.name, one.source_name)))


def said_now(
    endpoint: Endpoint, listed: Iterable[ListedTool], approved: VersionContent
) -> VersionContent | None:
    """What the source says now of a tool that was approved; ``None``: it is gone or unusable.

    Equal to ``approved`` where nothing changed.
    """
    upstream = approved.passes_to
    named = [tool for tool in listed if upstream is not None and tool.name == upstream.tool]
    if len(named) != 1:
        return None
    try:
        return content_of(endpoint, named[0])
    except Invalid:
        return None


def _offered(endpoint: Endpoint, tool: ListedTool, known: ImportedTool | None) -> OfferedTool:
    try:
        digest = digest_of(content_of(endpoint, tool))
    except Invalid as error:
        offer, problem = Offer.UNUSABLE, str(error)
    else:
        offer, problem = _standing(digest, known), ""
    return OfferedTool(
        name=name_of(tool),
        source_name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        offer=offer,
        problem=problem,
        tool_id=None if known is None else known.tool_id,
    )


def _standing(digest: Digest, known: ImportedTool | None) -> Offer:
    if known is None:
        return Offer.NEW
    if known.released == digest:
        return Offer.RELEASED
    was_approved = known.released or known.last_released
    return Offer.CHANGED if was_approved and was_approved != digest else Offer.ASKED


def _gone(tool: ImportedTool) -> OfferedTool:
    return OfferedTool(
        name=tool.name,
        source_name=tool.source_name,
        description=tool.description,
        input_schema=tool.input_schema,
        offer=Offer.GONE,
        tool_id=tool.tool_id,
    )
