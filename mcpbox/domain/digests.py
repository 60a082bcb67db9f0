"""The digest: what an approval is bound to."""

import hashlib
import json

from mcpbox.domain.ids import Digest
from mcpbox.domain.tools import VersionContent


def digest_of(content: VersionContent) -> Digest:
    """SHA-256 over the canonical JSON of exactly the fields of :class:`VersionContent`.

    Canonical: UTF-8, keys sorted, no white space. Source: ADR 0003.
    """
    covered = content.model_dump(mode="json", include=set(VersionContent.model_fields))
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return Digest(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")
