"""The vocabulary of the audit log: ``source:subject:action``, append-only.

A retired action stays here as a comment; its name is never used for something else.
"""

from enum import StrEnum


class Action(StrEnum):
    USER_CREATED = "people:user:created"
    LOGIN_SUCCEEDED = "people:login:succeeded"
    LOGIN_FAILED = "people:login:failed"
    LOGOUT = "people:session:ended"
    CLIENT_CREATED = "gateway:client:created"
    CLIENT_REVOKED = "gateway:client:revoked"
    SERVER_CREATED = "catalog:server:created"
    SERVER_STARTED = "catalog:server:started"
    SERVER_STOPPED = "catalog:server:stopped"
    SERVER_ISOLATION_CHANGED = "catalog:server:isolation_changed"
    TOOL_CREATED = "catalog:tool:created"
    TOOL_UPDATED = "catalog:tool:updated"
    TOOL_ENABLED = "catalog:tool:enabled"
    TOOL_DISABLED = "catalog:tool:disabled"
    TOOL_DELETED = "catalog:tool:deleted"
    REQUEST_OPENED = "request:workflow:opened"
    REQUEST_PRESENTED = "request:evidence:presented"
    DECISION_ADDED = "request:decision:added"
    DECISION_REFUSED = "request:decision:refused"
    REQUEST_APPLIED = "request:change:applied"
    REQUEST_CLOSED = "request:workflow:closed"
    GRANT_ADDED = "request:grant:added"
    GRANT_ENDED = "catalog:grant:ended"
    GRANT_REVOKED = "catalog:grant:revoked"
    RELEASE_ENDED = "catalog:release:ended"
    PROBATION_BEGAN = "catalog:probation:began"
    PROBATION_ENDED = "catalog:probation:ended"
