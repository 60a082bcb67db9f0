"""The vocabulary of the audit log: ``source:subject:action``, append-only.

A retired action stays here as a comment; its name is never used for something else.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from mcpbox.domain.anchors import Anchor
from mcpbox.domain.audit_chain import ChainReport
from mcpbox.domain.base import DomainModel


class Action(StrEnum):
    USER_CREATED = "people:user:created"
    USER_ROLES_CHANGED = "people:user:roles_changed"
    USER_DEACTIVATED = "people:user:deactivated"
    USER_ACTIVATED = "people:user:activated"
    PASSWORD_RESET = "people:password:reset"  # noqa: S105 - a word, no secret
    PASSWORD_CHANGED = "people:password:changed"  # noqa: S105 - a word, no secret
    LOGIN_SUCCEEDED = "people:login:succeeded"
    LOGIN_FAILED = "people:login:failed"
    LOGOUT = "people:session:ended"
    CLIENT_CREATED = "gateway:client:created"
    CLIENT_ROTATED = "gateway:client:rotated"
    CLIENT_REVOKED = "gateway:client:revoked"
    SERVER_CREATED = "catalog:server:created"
    SERVER_STARTED = "catalog:server:started"
    SERVER_STOPPED = "catalog:server:stopped"
    SERVER_DELETED = "catalog:server:deleted"
    SERVER_ISOLATION_CHANGED = "catalog:server:isolation_changed"
    TOOL_CREATED = "catalog:tool:created"
    TOOL_UPDATED = "catalog:tool:updated"
    TOOL_ENABLED = "catalog:tool:enabled"
    TOOL_DISABLED = "catalog:tool:disabled"
    TOOL_DELETED = "catalog:tool:deleted"
    SERVER_QUARANTINED = "catalog:server:quarantined"
    SERVER_QUARANTINE_LIFTED = "catalog:server:quarantine_lifted"
    TOOL_QUARANTINED = "catalog:tool:quarantined"
    TOOL_QUARANTINE_LIFTED = "catalog:tool:quarantine_lifted"
    RELEASE_REVOKED = "catalog:release:revoked"
    SWITCH_REFUSED = "catalog:switch:refused"
    REQUEST_OPENED = "request:workflow:opened"
    REQUEST_PRESENTED = "request:evidence:presented"
    DECISION_ADDED = "request:decision:added"
    DECISION_REFUSED = "request:decision:refused"
    REQUEST_APPLIED = "request:change:applied"
    REQUEST_CLOSED = "request:workflow:closed"
    REQUEST_LEFT_TO_PEOPLE = "request:policy:left_to_people"
    POLICY_CHANGED = "people:policy:changed"
    REQUEST_REVISED = "request:round:opened"
    REQUEST_REMINDED = "request:deciders:reminded"
    REQUEST_ESCALATED = "request:deciders:escalated"
    REQUEST_ASSIGNED = "request:deciders:assigned"
    REQUEST_COMMENTED = "request:comment:added"
    REQUEST_BREAK_GLASS = "request:break_glass:used"
    REQUEST_REVIEWED_AFTERWARDS = "request:break_glass:reviewed"
    DECISION_RETRACTED = "request:decision:retracted"
    DELEGATION_ADDED = "people:delegation:added"
    DELEGATION_ENDED = "people:delegation:ended"
    GRANT_ADDED = "request:grant:added"
    GRANT_ENDED = "catalog:grant:ended"
    GRANT_REVOKED = "catalog:grant:revoked"
    SECRET_CREATED = "catalog:secret:created"  # noqa: S105 - a word, no secret
    SECRET_SET = "catalog:secret:set"  # noqa: S105 - a word, no secret
    SECRET_DELETED = "catalog:secret:deleted"  # noqa: S105 - a word, no secret
    RELEASE_ENDED = "catalog:release:ended"
    RELEASE_MADE = "catalog:release:made"
    PROBATION_BEGAN = "catalog:probation:began"
    PROBATION_ENDED = "catalog:probation:ended"
    SOURCE_ADDED = "catalog:source:added"
    SOURCE_PRIVATE_CHANGED = "catalog:source:private_changed"
    SOURCE_SIGNED_IN = "catalog:source:signed_in"
    SOURCE_CHANGED = "catalog:source:changed"
    MODULE_SET_CHANGED = "catalog:server:module_set_changed"
    AUDIT_ANCHORED = "audit:anchor:made"
    NOTICE_TARGET_ADDED = "notices:target:added"
    NOTICE_TARGET_REMOVED = "notices:target:removed"
    RECOVERY_FAILED = "recovery:server:failed"
    RECOVERY_TRIED_AGAIN = "recovery:server:tried_again"
    RECOVERY_RESTORED = "recovery:server:restored"
    RECOVERY_STOPPED = "recovery:server:stopped"
    RECOVERY_IGNORED = "recovery:server:ignored"
    RECOVERY_ANSWER_REFUSED = "recovery:answer:refused"


class AuditEvent(DomainModel):
    """One row of the log."""

    sequence: int
    """Grows with time; a number that was never committed is missing, and means nothing."""
    at: datetime
    actor: str
    """Label of the principal: ``person:ana``, ``client:laptop``, ``system:mcpbox``."""
    action: str
    subject: str
    """``request:<id>``, ``tool:<id>`` and so on."""
    detail: str
    facts: dict[str, Any]
    previous_hash: str
    hash: str


class AuditFilter(DomainModel):
    """Empty means all; words are matched whole."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    """Itself left out."""


class Protection(StrEnum):
    """What keeps the application itself from changing the log."""

    RIGHTS = "rights"
    """Its role may only read and append; another one owns the table."""
    TRIGGER = "trigger"
    """Its role owns the table, so only a trigger refuses, which an owner can drop."""
    NOTHING = "nothing"


class AuditVerification(DomainModel):
    report: ChainReport
    last_anchor: Anchor | None
    """The newest that is signed with this instance's key."""
    unsigned_anchors: int
    """Kept in the database, but signed by nobody we know: they count for nothing."""
    protection: Protection
