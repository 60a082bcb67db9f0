"""Approval receipts: released code runs only as far as a known key has signed for it."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from sandbox.contract import (
    RECEIPT_TYPE,
    Bundle,
    Envelope,
    GrantedUntil,
    Receipt,
    dsse_signed_bytes,
    receipt_key_id,
)

PUBLIC_KEY_BYTES = 32
MAX_ENVELOPE_CHARACTERS = 256 * 2**10
_MAX_SIGNATURES = 8


class NotApproved(Exception):
    """Fit for the caller: what no receipt covers."""


@dataclass(frozen=True)
class Approval:
    """What of a verified receipt has to be looked at for every run."""

    ending: tuple[GrantedUntil, ...]
    """Those grants of the bundle that have an end."""
    secret_names: frozenset[str]

    def require(self, secret_names: Iterable[str], now: datetime) -> None:
        """Raises: NotApproved."""
        for grant in self.ending:
            if grant.until is not None and grant.until <= now:
                raise NotApproved(f"the grant of {grant.value} ended at {grant.until.isoformat()}")
        beyond = sorted(set(secret_names) - self.secret_names)
        if beyond:
            raise NotApproved(f"the receipt does not cover the secret {', '.join(beyond)}")


class Receipts:
    def __init__(self, public_keys: Iterable[bytes]) -> None:
        """Raises: ValueError: not the 32 raw bytes of an Ed25519 key."""
        self._keys = {
            receipt_key_id(key): Ed25519PublicKey.from_public_bytes(key) for key in public_keys
        }

    def approval_of(self, bundle: Bundle) -> Approval:
        """Raises: NotApproved."""
        if bundle.stdio is not None and bundle.stdio.tool is None:
            raise NotApproved("the tools of a server are listed in a trial only")
        receipt = self._verified(bundle.receipt)
        if receipt.code_sha256 != hashlib.sha256(bundle.source.encode()).hexdigest():
            raise NotApproved("the receipt is for other code")
        if not bundle.server or receipt.server != bundle.server:
            raise NotApproved("the receipt is for another server")
        if receipt.module_set != bundle.module_set:
            raise NotApproved("the receipt is for another set of modules")
        needed = [
            *_covered("module", bundle.modules, receipt.modules),
            *_covered("host", bundle.hosts, receipt.hosts),
        ]
        ending = tuple(grant for grant in needed if grant.until is not None)
        return Approval(ending, frozenset(receipt.secret_names))

    def _verified(self, text: str | None) -> Receipt:
        """The payload is not read before a signature over it holds."""
        if text is None:
            raise NotApproved("the code comes without a receipt")
        if len(text) > MAX_ENVELOPE_CHARACTERS:
            raise NotApproved(f"the receipt has more than {MAX_ENVELOPE_CHARACTERS} characters")
        try:
            envelope = Envelope.model_validate_json(text)
            payload = base64.b64decode(envelope.payload, validate=True)
        except (ValidationError, ValueError, RecursionError):
            raise NotApproved("the receipt is no DSSE envelope") from None
        if envelope.payload_type != RECEIPT_TYPE:
            raise NotApproved("the envelope holds no receipt")
        self._require_signature(envelope, payload)
        try:
            return Receipt.model_validate_json(payload)
        except ValidationError:
            raise NotApproved("the receipt says what this version cannot read") from None

    def _require_signature(self, envelope: Envelope, payload: bytes) -> None:
        signed = dsse_signed_bytes(payload)
        known = False
        for signature in envelope.signatures[:_MAX_SIGNATURES]:
            key = self._keys.get(signature.keyid)
            if key is None:
                continue
            known = True
            try:
                key.verify(base64.b64decode(signature.sig, validate=True), signed)
            except (InvalidSignature, binascii.Error, ValueError):
                continue
            return
        if known:
            raise NotApproved("the receipt's signature is not valid")
        raise NotApproved("the receipt is not signed with a key that is known here")


def public_keys(text: str) -> tuple[bytes, ...]:
    """Of base64 texts, separated by commas. Raises: ValueError: fit for the operator."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(_public_key(part) for part in parts)


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(
            "each must be a public key as `mcpbox receipts public-key` prints it: the base64 of "
            f"{PUBLIC_KEY_BYTES} bytes"
        )
    return key


def _covered(
    kind: str, needed: Iterable[str], granted: Iterable[GrantedUntil]
) -> Iterable[GrantedUntil]:
    """The grants of what is needed. Raises: NotApproved: there is none for one of it."""
    by_value = {grant.value: grant for grant in granted}
    beyond = sorted(value for value in needed if value not in by_value)
    if beyond:
        raise NotApproved(f"the receipt does not cover the {kind} {', '.join(beyond)}")
    return [by_value[value] for value in needed]
