"""Signed statements in DSSE envelopes, one kind of payload for each thing that we sign.

Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

import base64
import json
from collections.abc import Sequence

from pydantic import ValidationError

from mcpbox.crypto import SigningKey, signature_holds
from mcpbox.domain.errors import Invalid, Refused
from sandbox.contract import Envelope, dsse_signed_bytes, receipt_key_id

_KEY_BYTES = 32


def sealed(payload: bytes, payload_type: str, key: SigningKey) -> str:
    """An envelope, as JSON."""
    signature = key.sign(dsse_signed_bytes(payload, payload_type))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [
            {
                "keyid": receipt_key_id(key.public),
                "sig": base64.b64encode(signature).decode(),
            }
        ],
    }
    return json.dumps(envelope)


def opened(text: str, payload_type: str, publics: Sequence[bytes], *, noun: str) -> bytes:
    """The payload, once one of the keys has signed it.

    Raises: Refused: none of them has; Invalid: no envelope of this kind.
    """
    envelope = envelope_of(text, payload_type, noun=noun)
    payload = decoded(envelope.payload, noun=noun)
    signed = dsse_signed_bytes(payload, payload_type)
    for public in publics:
        ours = [one for one in envelope.signatures if one.keyid == receipt_key_id(public)]
        if any(signature_holds(public, decoded(one.sig, noun=noun), signed) for one in ours):
            return payload
    raise Refused(f"The {noun} is not signed with {_whose(publics)}.")


def envelope_of(text: str, payload_type: str, *, noun: str) -> Envelope:
    """Whoever signed it. Raises: Invalid."""
    try:
        envelope = Envelope.model_validate_json(text)
    except ValidationError:
        raise Invalid(f"This is no {noun}: it is not a DSSE envelope.") from None
    if envelope.payload_type != payload_type:
        raise Invalid(f"This is no {noun}: its payloadType is not {payload_type!r}.")
    return envelope


def decoded(text: str, *, noun: str) -> bytes:
    """Raises: Invalid."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Invalid(f"This is no {noun}: a part of it is not base64.") from None


def public_key_of(text: str) -> bytes:
    """Of what ``mcpbox receipts public-key`` prints. Raises: Invalid."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Invalid(
            "--key: this is no public key; 'mcpbox receipts public-key' of the instance that "
            "signed it prints the right one."
        )
    return key


def _whose(publics: Sequence[bytes]) -> str:
    return "the given key" if len(publics) == 1 else "any of the given keys"
