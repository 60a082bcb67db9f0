"""When a version of a tool could be called, who approved that, and who took it back."""

from datetime import datetime

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest, ReleaseId, RequestId
from mcpbox.domain.tools import ToolVersion


class VersionRelease(DomainModel):
    id: ReleaseId
    digest: Digest
    request_id: RequestId
    approved_by: str
    active_from: datetime
    active_to: datetime | None = None
    """``None``: it is the one that clients call."""
    revoked_at: datetime | None = None
    """When a person ended it, so that only a request brings it back."""
    revoked_by: str | None = None
    revoke_reason: str | None = None


class ReleasedVersion(DomainModel):
    """A version with its releases, newest first; none: it was never released."""

    version: ToolVersion
    releases: tuple[VersionRelease, ...] = ()

    @property
    def last(self) -> VersionRelease | None:
        return self.releases[0] if self.releases else None

    @property
    def active(self) -> bool:
        return self.last is not None and self.last.active_to is None

    @property
    def revoked(self) -> bool:
        return self.last is not None and self.last.revoked_at is not None

    @property
    def can_be_rolled_back_to(self) -> bool:
        return self.last is not None and not self.active and not self.revoked
