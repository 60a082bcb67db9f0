"""The approval receipt of a release, as people are shown it."""

from datetime import datetime

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest, ToolId


class ApprovedGrant(DomainModel):
    value: str
    """A host, or a module's import name."""
    until: datetime | None
    """``None``: it has no end."""


class Approved(DomainModel):
    digest: Digest
    request: str
    """Id of the request that people decided."""
    approved_by: tuple[str, ...]
    approved_at: datetime
    hosts: tuple[ApprovedGrant, ...]
    modules: tuple[ApprovedGrant, ...]
    module_set: Digest | None
    secret_names: tuple[str, ...]


class ReleaseReceipt(DomainModel):
    tool_id: ToolId
    version_number: int
    """Of the version that is released."""
    valid: bool
    """Signed with this instance's key, for what is released."""
    problem: str
    """Why it is not valid; empty when it is."""
    key_ids: tuple[str, ...]
    """Of those who claim to have signed it."""
    approved: Approved | None
    """What it says; ``None`` when it cannot be read."""
    envelope: str
    """As signed: DSSE, a JSON text."""
