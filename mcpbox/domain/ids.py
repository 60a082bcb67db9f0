"""Names for identifiers, so that no two kinds of id can be swapped unnoticed."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
ClientId = NewType("ClientId", UUID)
ServerId = NewType("ServerId", UUID)
SourceId = NewType("SourceId", UUID)
SnapshotId = NewType("SnapshotId", UUID)
ToolId = NewType("ToolId", UUID)
VersionId = NewType("VersionId", UUID)
RequestId = NewType("RequestId", UUID)
DecisionId = NewType("DecisionId", UUID)
CommentId = NewType("CommentId", UUID)
DelegationId = NewType("DelegationId", UUID)
ReleaseId = NewType("ReleaseId", UUID)
GrantId = NewType("GrantId", UUID)
ExecutionId = NewType("ExecutionId", UUID)

Digest = NewType("Digest", str)
"""``sha256:<64 hex>`` over the canonical JSON of what a version is; see :mod:`.digests`."""
