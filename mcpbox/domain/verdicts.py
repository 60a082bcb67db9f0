"""What a reviewer can say about a request."""

from enum import StrEnum


class Verdict(StrEnum):
    APPROVE = "approve"
    DENY = "deny"
    REQUEST_CHANGES = "request_changes"
