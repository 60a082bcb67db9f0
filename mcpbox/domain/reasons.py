"""Reasons: what people and authors write for each other, and how long it may be."""

REASON_MAX_LENGTH = 2000
