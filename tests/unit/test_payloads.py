"""What is kept in Temporal cannot be read without a key, and what cannot be read stops nothing."""

import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from mcpbox.payloads import ENCRYPTED, EncryptingCodec, PatientConverter, Unreadable, data_converter

OLD, NEW, OTHER = (SecretStr(digits * 32) for digits in ("0a", "1b", "2c"))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"reason": "It reads too much."}')


async def test_what_is_encoded_tells_nothing_and_is_decoded_to_the_same() -> None:
    codec = EncryptingCodec([NEW])

    [encoded] = await codec.encode([PLAIN])

    assert encoded.metadata["encoding"] == ENCRYPTED
    assert b"reason" not in encoded.SerializeToString()
    assert b"json" not in encoded.SerializeToString()
    assert await codec.decode([encoded]) == [PLAIN]


async def test_equal_payloads_are_never_encoded_to_equal_bytes() -> None:
    codec = EncryptingCodec([NEW])

    first, second = await codec.encode([PLAIN, PLAIN])

    assert first.data != second.data


async def test_after_a_change_of_keys_what_the_old_one_encoded_is_still_read() -> None:
    encoded = await EncryptingCodec([OLD]).encode([PLAIN])

    assert await EncryptingCodec([NEW, OLD]).decode(encoded) == [PLAIN]
    [anew] = await EncryptingCodec([NEW, OLD]).encode([PLAIN])
    assert await EncryptingCodec([NEW]).decode([anew]) == [PLAIN]


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 100])
async def test_what_no_key_opens_stays_as_it_is(data: bytes) -> None:
    """An exception of a codec would fail the workflow task for ever."""
    [encoded] = await EncryptingCodec([OLD]).encode([PLAIN])
    forged = Payload(metadata=dict(encoded.metadata), data=data)
    nameless = Payload(metadata={"encoding": ENCRYPTED, "encryption-key-id": b"\xff"}, data=data)

    assert await EncryptingCodec([NEW]).decode([encoded]) == [encoded]
    assert await EncryptingCodec([OLD]).decode([forged, nameless]) == [forged, nameless]


async def test_what_is_not_ours_passes_through() -> None:
    """Operators' plain input, and what an earlier version kept in the clear."""
    assert await EncryptingCodec([NEW]).decode([PLAIN]) == [PLAIN]


async def test_a_payload_is_not_encoded_twice() -> None:
    codec = EncryptingCodec([NEW])
    encoded = await codec.encode([PLAIN])

    assert await codec.encode(encoded) == encoded


async def test_the_text_of_a_failure_is_encoded_too() -> None:
    converter = data_converter([NEW])
    failure = Failure()

    await converter.encode_failure(ApplicationError("Ana said no.", type="Refused"), failure)

    assert b"Ana said no." not in failure.SerializeToString()
    elsewhere = await data_converter([OTHER]).decode_failure(failure)
    assert "Ana" not in str(elsewhere)
    assert "Ana said no." in str(await converter.decode_failure(failure))


def test_what_a_handler_takes_as_it_comes_is_read_or_said_to_be_unreadable() -> None:
    converter = PatientConverter()
    broken = Payload(metadata={"encoding": b"json/plain"}, data=b"{")

    assert converter.from_payloads([PLAIN]) == [{"reason": "It reads too much."}]
    assert converter.from_payloads([broken]) == [Unreadable("it is not JSON")]
    with pytest.raises(ValueError, match="Invalid JSON"):
        converter.from_payloads([broken], [dict])
