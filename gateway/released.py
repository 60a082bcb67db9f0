"""A released tool, made ready once so that a call of it costs no preparation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema.protocols import Validator
from mcp_types import Tool, ToolAnnotations

from gateway.arguments import TooMuch, Unusable, compiled, problems_in
from gateway.sources import Reach
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import Invalid, Refused
from mcpbox.domain.ids import Digest
from mcpbox.domain.tools import Annotations
from mcpbox.domain.upstreams import HttpEndpoint
from mcpbox.policies.call import may_list
from mcpbox.policies.ruling import Ruling
from mcpbox.upstream.tokens import values_in
from mcpbox.usecases.bundles import released_bundle
from sandbox.contract import BoundSecret, Bundle, IsolationMode


@dataclass(frozen=True, slots=True)
class ReleasedTool:
    """``version.digest`` of ``tool`` is what we computed, never what was stored."""

    tool: CallableTool
    listing: Tool
    listed: Mapping[str, Any]
    """The listing as it is sent: a thousand of them are not made anew for each client."""
    bundle: Bundle
    validator: Validator | None
    """``None``: the input schema is unusable, and ``ruling`` says so."""
    ruling: Ruling
    """Whether it may be listed, and called by whoever has the scope."""
    reach: Reach | None = None
    """How the source is reached that its calls are passed on to, over HTTP."""

    @property
    def shares_process(self) -> bool:
        return self.bundle.isolation is IsolationMode.RELEASE

    @property
    def secrets(self) -> dict[str, BoundSecret]:
        """Never kept in the bundle: what changes in one takes effect with the next call."""
        return {
            name: BoundSecret(value=held.value, hosts=held.hosts)
            for name, held in self.tool.secrets.items()
        }

    @property
    def hidden(self) -> tuple[str, ...]:
        """The values of its secrets, for whoever has to cut them out."""
        if self.reach is not None and self.reach.secret is not None:
            return values_in(self.reach.endpoint, self.reach.secret)
        return tuple(held.value.get_secret_value() for held in self.tool.secrets.values())

    @property
    def name(self) -> str:
        return self.tool.name

    def is_reached_like(self, other: "ReleasedTool") -> bool:
        if self.reach is None or other.reach is None:
            return self.reach is other.reach
        return self.reach.lasting == other.reach.lasting

    def require_valid(self, arguments: Mapping[str, Any]) -> None:
        """Raises: Invalid: where and what is wrong; Refused: the schema itself is broken."""
        if self.validator is None:
            raise _unusable(self.tool)
        try:
            problems = problems_in(arguments, self.validator)
        except Unusable as error:
            raise _unusable(self.tool) from error
        except TooMuch as error:
            raise Invalid(
                f"{self.name} was not run. Its arguments take too long to check: send fewer or "
                "smaller ones at once."
            ) from error
        if problems:
            raise Invalid(f"{self.name} was not run. " + " ".join(problems))


def prepare(tool: CallableTool, prepared: Mapping[Digest, Validator]) -> ReleasedTool:
    """Computes the digest of what would run; the stored one is not trusted (I1).

    ``prepared``: {digest: validator} of earlier loads; a schema is compiled once per digest.
    """
    version = tool.version.model_copy(update={"digest": digest_of(tool.version)})
    tool = tool.model_copy(update={"version": version})
    validator = prepared.get(version.digest) or compiled(version.input_schema)
    upstream = version.passes_to
    listing = Tool(
        name=tool.name,
        title=upstream.title or None if upstream else None,
        description=version.description,
        input_schema={**version.input_schema, "type": "object"},
        output_schema=_shown(upstream.output_schema if upstream else None),
        annotations=_hints(version.annotations),
    )
    return ReleasedTool(
        tool=tool,
        listing=listing,
        listed=as_sent(listing),
        bundle=released_bundle(tool),
        validator=validator,
        ruling=may_list(tool, utc_now()) if validator else Ruling(_unusable(tool)),
        reach=reach_of(tool),
    )


def reach_of(tool: CallableTool) -> Reach | None:
    upstream, source = tool.version.passes_to, tool.source
    if upstream is None or source is None or not isinstance(upstream.endpoint, HttpEndpoint):
        return None
    held = tool.secrets.get(upstream.endpoint.secret_name or "")
    return Reach(
        source_id=source.source_id,
        endpoint=upstream.endpoint,
        secret=held.value if held else None,
        allow_private=source.allow_private,
    )


def as_sent(listing: Tool) -> Mapping[str, Any]:
    """As the protocol layer would make it; it copies what it is given."""
    return listing.model_dump(by_alias=True, mode="json", exclude_none=True)


def _shown(output_schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of an object alone: another one would fail the whole tools/list of an older client."""
    if output_schema is None or output_schema.get("type") != "object":
        return None
    return output_schema


def _unusable(tool: CallableTool) -> Refused:
    return Refused(
        f"The input schema of {tool.name!r} cannot be used; its author has to publish it again."
    )


def _hints(annotations: Annotations) -> ToolAnnotations | None:
    if annotations == Annotations():
        return None
    return ToolAnnotations(
        read_only_hint=annotations.read_only,
        destructive_hint=annotations.destructive,
        idempotent_hint=annotations.idempotent,
        open_world_hint=annotations.open_world,
    )
