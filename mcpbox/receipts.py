"""Signs approval receipts, and reads them again; the sandbox verifies them by itself."""

import base64
from collections.abc import Sequence

from pydantic import SecretStr, ValidationError

from mcpbox import dsse
from mcpbox.crypto import SigningKey
from mcpbox.domain.errors import Invalid, Refused
from sandbox.contract import RECEIPT_TYPE, Receipt, receipt_key_id

PURPOSE = "receipts"
"""Of the key that signs all that leaves the instance, so there is one to hand out."""
_NOUN = "receipt"


class ReceiptSigner:
    def __init__(self, encryption_key: SecretStr) -> None:
        """``encryption_key``: of the instance; another one signs what is not known any more."""
        self._key = SigningKey(encryption_key, PURPOSE)
        self.public_key = base64.b64encode(self._key.public).decode()
        """As ``MCPBOX_SANDBOX_RECEIPT_KEYS`` takes it."""
        self.key_id = receipt_key_id(self._key.public)

    def sign(self, receipt: Receipt) -> str:
        """A DSSE envelope, as JSON."""
        payload = receipt.model_dump_json(exclude_defaults=True).encode()
        return dsse.sealed(payload, RECEIPT_TYPE, self._key)

    def opened(self, envelope: str) -> Receipt:
        """Raises: Refused: not signed by this instance; Invalid: not a receipt at all."""
        try:
            return receipt_signed_by([self._key.public], envelope)
        except Refused:
            raise Refused("The receipt is not signed with this instance's key.") from None


def receipt_signed_by(publics: Sequence[bytes], envelope: str) -> Receipt:
    """Raises: Refused: none of these keys has signed it; Invalid: not a receipt at all."""
    return _receipt(dsse.opened(envelope, RECEIPT_TYPE, publics, noun=_NOUN))


def unverified(envelope: str) -> Receipt:
    """What it says, whoever signed it. Raises: Invalid: it is no receipt."""
    found = dsse.envelope_of(envelope, RECEIPT_TYPE, noun=_NOUN)
    return _receipt(dsse.decoded(found.payload, noun=_NOUN))


def key_ids_of(envelope: str) -> tuple[str, ...]:
    """Who claims to have signed it. Raises: Invalid: it is no receipt."""
    found = dsse.envelope_of(envelope, RECEIPT_TYPE, noun=_NOUN)
    return tuple(signature.keyid for signature in found.signatures)


def _receipt(payload: bytes) -> Receipt:
    try:
        return Receipt.model_validate_json(payload)
    except ValidationError:
        raise Invalid("The receipt says what this version cannot read.") from None
