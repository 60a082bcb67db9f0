"""How risky a request is: the worst of what the evidence found and what is asked."""

from collections.abc import Sequence

from mcpbox.domain.evidence import Evidence, Risk, Status
from mcpbox.domain.manifests import Needs

_ORDER = list(Risk)
_STATUS_RISK = {
    Status.PASSED: Risk.LOW,
    Status.SKIPPED: Risk.LOW,
    Status.WARNING: Risk.MEDIUM,
    Status.FAILED: Risk.HIGH,
    # A check that could not run says nothing, so the reviewer has to look harder.
    Status.MISSING: Risk.HIGH,
}


def risk_of(evidence: Sequence[Evidence], needs: Needs) -> Risk:
    found = [_STATUS_RISK[piece.status] for piece in evidence]
    found += [finding.level for piece in evidence for finding in piece.findings]
    if needs:
        found.append(Risk.HIGH)
    return max(found, key=_ORDER.index, default=Risk.HIGH)
