"""What crosses to Temporal: encrypted on the way, and read with patience for operators' input.

Compatibility rule: the encoding's name and its metadata are in histories for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr
from pydantic_core import from_json
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from mcpbox.crypto import CannotOpen, Keyring

ENCRYPTED = b"binary/encrypted"
"""The name that other codecs of Temporal use too, so that its tools know what they see."""
LARGEST_BYTES = 512 * 1024
"""Of one payload: code, arguments and evidence are named by id, so nothing of ours comes near."""
LARGEST_SIGNAL_BYTES = 32 * 1024
_ENCODING = "encoding"
_KEY_ID = "encryption-key-id"
_PURPOSE = "temporal payloads"
_JSON = b"json/plain"
_NULL = b"binary/null"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for input that could not be read, so that its receiver can refuse it and say why."""

    why: str


class EncryptingCodec(PayloadCodec):
    """Decoding never raises: it would fail the workflow task, again and again, for ever."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """``keys``: newest first."""
        self._keyring = Keyring(keys, _PURPOSE)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encoded(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """What is not ours, and what no key of ours opens, stays as it is."""
        return [self._decoded(payload) for payload in payloads]

    def _encoded(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) == ENCRYPTED:
            return payload
        key_id = self._keyring.key_id
        return Payload(
            metadata={_ENCODING: ENCRYPTED, _KEY_ID: key_id.encode()},
            data=self._keyring.seal(payload.SerializeToString(), key_id.encode()),
        )

    def _decoded(self, payload: Payload) -> Payload:
        if payload.metadata.get(_ENCODING) != ENCRYPTED:
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"")
        try:
            opened = self._keyring.open(key_id.decode(errors="replace"), payload.data, key_id)
        except CannotOpen:
            return payload
        return Payload.FromString(opened)


class PatientConverter(PydanticPayloadConverter):
    """Reads what a handler takes as ``Any`` without ever failing.

    The SDK drops a signal that it cannot decode: only a line in the worker's log would tell of it.
    """

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        # The SDK leaves the hints out when their number is not that of the payloads.
        if type_hints is None or type_hints == [Any]:
            return [_read(payload) for payload in payloads]
        for payload, hint in zip(payloads, type_hints, strict=True):
            if hint is not RawValue and len(payload.data) > LARGEST_BYTES:
                raise ValueError(f"larger than {LARGEST_BYTES // 1024} KiB")
        return super().from_payloads(payloads, type_hints)


def data_converter(keys: Sequence[SecretStr]) -> DataConverter:
    """``keys``: newest first; none leaves all in the clear, which is for tests alone."""
    converter = DataConverter(payload_converter_class=PatientConverter)
    if not keys:
        return converter
    return replace(
        converter,
        payload_codec=EncryptingCodec(keys),
        # Messages and stack traces of failures are text outside of any payload otherwise.
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _read(payload: Payload) -> object:
    encoding = payload.metadata.get(_ENCODING, b"")
    if encoding == ENCRYPTED:
        return Unreadable("it is encrypted with a key that is not known here")
    if len(payload.data) > LARGEST_SIGNAL_BYTES:
        return Unreadable(f"it is larger than {LARGEST_SIGNAL_BYTES // 1024} KiB")
    if encoding == _NULL:
        return None
    if encoding != _JSON:
        return Unreadable("its encoding is not json/plain")
    try:
        return from_json(payload.data)
    except ValueError:
        return Unreadable("it is not JSON")
