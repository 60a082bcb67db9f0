"""Identities that others vouch for: an OpenID provider, or a tunnel that has signed people in."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.people import USERNAME_PATTERN

EMAIL_MAX_LENGTH = 254
"""Source: RFC 5321 section 4.5.3.1.3, without the angle brackets."""
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/?^_`{|}~-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*")
_USERNAME = re.compile(USERNAME_PATTERN)
_SUBJECT = "sub:"
_NAME_MAX_LENGTH = 63
_KEY_LENGTH = 16


class WayIn(StrEnum):
    """How clients prove who they are; a deployment has one."""

    TOKENS = "tokens"
    PROVIDER = "provider"
    TUNNEL = "tunnel"


class Identity(DomainModel):
    """Somebody, as another party names them, and the person here whom they act for."""

    issuer: str
    """Who vouches: the provider's address, or ``tunnel``."""
    subject: str
    """Unique at the issuer, and never given to somebody else."""
    owner: str
    """User name; with another owner it is another identity, and what it asked stays where it is."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits; the same for the same identity, on every gateway."""
        parts = json.dumps([self.issuer, self.subject, self.owner])
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def client_name(self) -> str:
        """What its client is called: by its owner, for no address belongs into records."""
        owner = self.owner[: _NAME_MAX_LENGTH - _KEY_LENGTH - 1]
        return f"{owner}-{self.key[:_KEY_LENGTH]}"


@dataclass(frozen=True, slots=True)
class Owners:
    """Which identities may come at all, and whom each acts for; nobody else is let in."""

    subjects: Mapping[str, str]
    emails: Mapping[str, str]
    domains: Mapping[str, str]

    @classmethod
    def read(cls, entries: Iterable[str]) -> "Owners":
        """``ana@example.org=ana``, ``@example.org=team`` or ``sub:nightly-job=ben``.

        Raises: ValueError: the message names the form, never the entry.
        """
        subjects: dict[str, str] = {}
        emails: dict[str, str] = {}
        domains: dict[str, str] = {}
        for entry in entries:
            who, separator, owner = (part.strip() for part in entry.rpartition("="))
            if not separator or not _USERNAME.fullmatch(owner):
                raise ValueError(_FORM)
            if who.startswith(_SUBJECT) and len(who) > len(_SUBJECT):
                kind, key = subjects, who.removeprefix(_SUBJECT)
            elif who.startswith("@") and plain_email(f"x{who}") is not None:
                kind, key = domains, who[1:].lower()
            elif (email := plain_email(who)) is not None:
                kind, key = emails, email
            else:
                raise ValueError(_FORM)
            if kind.setdefault(key, owner) != owner:
                raise ValueError("names one identity with two users")
        return cls(subjects, emails, domains)

    def __bool__(self) -> bool:
        return bool(self.subjects or self.emails or self.domains)

    def of_subject(self, subject: str) -> str | None:
        return self.subjects.get(subject)

    def of_email(self, email: str) -> str | None:
        """``email``: as :func:`plain_email` gives it. An address outranks its domain."""
        return self.emails.get(email) or self.domains.get(email.rpartition("@")[2])


def plain_email(text: str) -> str | None:
    """In small letters; ``None``: it is no address that we know how to compare."""
    email = text.strip().lower()
    if len(email) > EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(email):
        return None
    return email


_FORM = (
    "must be entries such as ana@example.org=ana, @example.org=team or sub:nightly-job=ben, "
    "each with a user name behind the '='"
)
