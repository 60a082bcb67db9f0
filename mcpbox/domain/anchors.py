"""A signed anchor: where the audit log stood at a time.

Kept outside, it shows later that the log was rewritten or cut, which its chain alone cannot.
"""

from pydantic import AwareDatetime

from mcpbox.domain.base import DomainModel

ANCHOR_TYPE = "application/vnd.mcpbox.audit-anchor+json"
"""``payloadType`` of the DSSE envelope that it is signed in."""


class Anchor(DomainModel):
    """Compatibility rule: anchors outlive releases, so fields are only added, with a default."""

    sequence: int
    """Of the newest event."""
    hash: str
    """Of that event, and through it of all before it."""
    at: AwareDatetime
    instance: str
    """Id of the key that signs for the instance."""
