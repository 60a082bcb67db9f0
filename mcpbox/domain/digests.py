"""The digest: what an approval is bound to."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from mcpbox.domain.external_sources import ListedTool
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import Digest, ServerId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.tools import VersionContent


def digest_of(content: VersionContent) -> Digest:
    """SHA-256 over the canonical JSON of exactly the fields of :class:`VersionContent`.

    Canonical: UTF-8, keys sorted, no white space; ``passes_to`` only where there is one. Source:
    ADR 0003, ADR 0037.
    """
    covered = set(VersionContent.model_fields)
    if content.passes_to is None:
        covered.remove("passes_to")
    return _digest(content.model_dump(mode="json", include=covered))


def digest_of_listing(tools: Iterable[ListedTool]) -> Digest:
    """What names a snapshot of all that a source offers, in the order of the names."""
    listed = sorted((tool.model_dump(mode="json") for tool in tools), key=lambda tool: tool["name"])
    return _digest({"tools": listed})


def digest_of_ask(
    server_id: ServerId, requirement: Requirement, *, days: int | None = None
) -> Digest:
    """What names a request for a module until its packages are resolved.

    From then on its digest is that of the wheels, which is what people approve.
    """
    asked = {"server": str(server_id), "requirement": requirement.model_dump(mode="json")}
    return _digest(asked if days is None else asked | {"days": days})


def digest_of_access(server_id: ServerId, access: HostAccess, *, days: int | None) -> Digest:
    """What people approve of a request for a host: all that is granted, and for how long."""
    return _digest({"server": str(server_id), "host": str(access), "days": days})


def digest_of_binding(
    server_id: ServerId, name: str, hosts: tuple[str, ...], *, days: int | None
) -> Digest:
    """What people approve of a request for a secret; its value is no part of it."""
    asked = {"server": str(server_id), "secret": name, "hosts": list(hosts), "days": days}
    return _digest(asked)


def _digest(covered: dict[str, Any]) -> Digest:
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Digest(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")
