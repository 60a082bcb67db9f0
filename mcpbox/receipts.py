"""Signs approval receipts, and reads them again; the sandbox verifies them by itself."""

import base64
import json

from pydantic import SecretStr, ValidationError

from mcpbox.crypto import SigningKey, signature_holds
from mcpbox.domain.errors import Invalid, Refused
from sandbox.contract import (
    RECEIPT_TYPE,
    Envelope,
    Receipt,
    dsse_signed_bytes,
    receipt_key_id,
)

_PURPOSE = "receipts"


class ReceiptSigner:
    def __init__(self, encryption_key: SecretStr) -> None:
        """``encryption_key``: of the instance; another one signs what is not known any more."""
        self._key = SigningKey(encryption_key, _PURPOSE)
        self.public_key = base64.b64encode(self._key.public).decode()
        """As ``MCPBOX_SANDBOX_RECEIPT_KEYS`` takes it."""
        self.key_id = receipt_key_id(self._key.public)

    def sign(self, receipt: Receipt) -> str:
        """A DSSE envelope, as JSON."""
        payload = receipt.model_dump_json(exclude_defaults=True).encode()
        signature = self._key.sign(dsse_signed_bytes(payload))
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": RECEIPT_TYPE,
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(signature).decode()}],
        }
        return json.dumps(envelope)

    def opened(self, envelope: str) -> Receipt:
        """Raises: Refused: not signed by this instance; Invalid: not a receipt at all."""
        found = _envelope(envelope)
        payload = _decoded(found.payload)
        ours = [_decoded(one.sig) for one in found.signatures if one.keyid == self.key_id]
        signed = dsse_signed_bytes(payload)
        if not any(signature_holds(self._key.public, each, signed) for each in ours):
            raise Refused("The receipt is not signed with this instance's key.")
        return _receipt(payload)


def unverified(envelope: str) -> Receipt:
    """What it says, whoever signed it. Raises: Invalid: it is no receipt."""
    return _receipt(_decoded(_envelope(envelope).payload))


def key_ids_of(envelope: str) -> tuple[str, ...]:
    """Who claims to have signed it. Raises: Invalid: it is no receipt."""
    return tuple(signature.keyid for signature in _envelope(envelope).signatures)


def _envelope(text: str) -> Envelope:
    try:
        envelope = Envelope.model_validate_json(text)
    except ValidationError:
        raise Invalid("This is no receipt: it is not a DSSE envelope.") from None
    if envelope.payload_type != RECEIPT_TYPE:
        raise Invalid(f"This is no receipt: its payloadType is not {RECEIPT_TYPE!r}.")
    return envelope


def _receipt(payload: bytes) -> Receipt:
    try:
        return Receipt.model_validate_json(payload)
    except ValidationError:
        raise Invalid("The receipt says what this version cannot read.") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Invalid("This is no receipt: a part of it is not base64.") from None
