"""A receipt is believed only as far as a known key has signed it."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from mcpbox.receipts import ReceiptSigner
from sandbox.contract import (
    RECEIPT_TYPE,
    Bundle,
    GrantedUntil,
    StdioServer,
    dsse_signed_bytes,
    receipt_key_id,
    source_of,
)
from sandbox.receipts import MAX_ENVELOPE_CHARACTERS, NotApproved, Receipts, public_keys
from tests.receipts import SERVER, SIGNER, a_receipt, released

OTHER = ReceiptSigner(SecretStr("07" * 32))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
A_MINUTE = timedelta(minutes=1)
BUNDLE = Bundle(
    code="async def main():\n    return 1\n",
    modules=("dateutil",),
    module_set="sha256:" + "1" * 64,
    hosts=("api.example.com",),
    server=SERVER,
)

Envelope = dict[str, Any]


def receipts(*signers: ReceiptSigner) -> Receipts:
    texts = (signer.public_key for signer in signers or (SIGNER,))
    return Receipts(public_keys(",".join(texts)))


def refusal(bundle: Bundle, *signers: ReceiptSigner) -> str:
    with pytest.raises(NotApproved) as refused:
        receipts(*signers).approval_of(bundle)
    return str(refused.value)


def with_envelope(change: Callable[[Envelope], object]) -> Bundle:
    bundle = released(BUNDLE)
    envelope = json.loads(bundle.receipt or "")
    change(envelope)
    return bundle.model_copy(update={"receipt": json.dumps(envelope)})


def signed(payload: bytes, payload_type: str = RECEIPT_TYPE) -> str:
    """By a key of this test's own, whose seed is known."""
    signature = PRIVATE.sign(dsse_signed_bytes(payload, payload_type))
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": receipt_key_id(PUBLIC), "sig": base64.b64encode(signature).decode()}
            ],
        }
    )


PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()


def test_what_was_approved_is_covered() -> None:
    approval = receipts().approval_of(released(BUNDLE, secret_names=("TOKEN",)))

    approval.require(["TOKEN"], NOW)


def test_a_receipt_may_cover_more_than_is_needed() -> None:
    fewer = BUNDLE.model_copy(update={"hosts": (), "modules": ()})

    receipts().approval_of(
        fewer.model_copy(update={"receipt": SIGNER.sign(a_receipt(BUNDLE))})
    ).require((), NOW)


def test_while_keys_are_changed_both_are_known() -> None:
    receipts(OTHER, SIGNER).approval_of(released(BUNDLE))


def test_one_good_signature_among_others_is_enough() -> None:
    theirs = {"keyid": OTHER.key_id, "sig": "AAAA"}
    bundle = with_envelope(lambda envelope: envelope["signatures"].insert(0, theirs))

    receipts().approval_of(bundle)


def test_code_without_a_receipt_is_refused() -> None:
    assert "without a receipt" in refusal(BUNDLE)


def test_a_receipt_of_another_key_is_refused() -> None:
    theirs = BUNDLE.model_copy(update={"receipt": OTHER.sign(a_receipt(BUNDLE))})

    assert "not signed with a key that is known" in refusal(theirs)


def edited(envelope: Envelope) -> None:
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["hosts"].append({"value": "evil.example.com"})
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()


def signed_by_another_under_our_id(envelope: Envelope) -> None:
    theirs = json.loads(OTHER.sign(a_receipt(BUNDLE)))
    envelope["signatures"][0]["sig"] = theirs["signatures"][0]["sig"]


FORGED: dict[str, tuple[Callable[[Envelope], object], str]] = {
    "edited": (edited, "signature is not valid"),
    "signed by another": (signed_by_another_under_our_id, "signature is not valid"),
    "without signature": (lambda e: e["signatures"].clear(), "not signed with a key"),
    "an empty signature": (lambda e: e["signatures"][0].update(sig=""), "signature is not valid"),
    "no base64": (lambda e: e["signatures"][0].update(sig="ü"), "signature is not valid"),
    "unknown key": (lambda e: e["signatures"][0].update(keyid="k"), "not signed with a key"),
    "empty key id": (lambda e: e["signatures"][0].update(keyid=""), "not signed with a key"),
    "no key id": (lambda e: e["signatures"][0].pop("keyid"), "no DSSE envelope"),
    "another type": (lambda e: e.update(payloadType="text/plain"), "holds no receipt"),
    "payload of no base64": (lambda e: e.update(payload="not base64!"), "no DSSE envelope"),
    "payload missing": (lambda e: e.pop("payload"), "no DSSE envelope"),
    "ours hidden behind many": (
        lambda e: e.update(signatures=[{"keyid": "k", "sig": ""}] * 1000 + e["signatures"]),
        "not signed with a key",
    ),
}


@pytest.mark.parametrize("how", FORGED)
def test_i1_a_forged_envelope_is_refused(how: str) -> None:
    change, reason = FORGED[how]

    assert reason in refusal(with_envelope(change))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "[" * 10_000, "\x00", "1" * 5000])
def test_garbage_is_refused(text: str) -> None:
    assert "no DSSE envelope" in refusal(BUNDLE.model_copy(update={"receipt": text}))


def test_a_huge_receipt_is_not_even_read() -> None:
    text = (released(BUNDLE).receipt or "") + " " * MAX_ENVELOPE_CHARACTERS

    assert "characters" in refusal(BUNDLE.model_copy(update={"receipt": text}))


def test_a_signature_over_the_bare_payload_or_another_type_is_none() -> None:
    """DSSE: the type is signed too, so nothing signed for another purpose passes for a receipt."""
    payload = a_receipt(BUNDLE).model_dump_json().encode()
    good, other = json.loads(signed(payload)), json.loads(signed(payload, "text/plain"))
    bare = base64.b64encode(PRIVATE.sign(payload)).decode()
    known = Receipts([PUBLIC])

    known.approval_of(BUNDLE.model_copy(update={"receipt": json.dumps(good)}))
    for signatures in (other["signatures"], [{**good["signatures"][0], "sig": bare}]):
        forged = json.dumps({**good, "signatures": signatures})
        with pytest.raises(NotApproved, match="signature is not valid"):
            known.approval_of(BUNDLE.model_copy(update={"receipt": forged}))


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"surprise": 1}'])
def test_what_was_signed_but_is_no_receipt_is_refused(payload: bytes) -> None:
    bundle = BUNDLE.model_copy(update={"receipt": signed(payload)})

    with pytest.raises(NotApproved, match="cannot read"):
        Receipts([PUBLIC]).approval_of(bundle)


def test_an_end_without_a_time_zone_is_not_guessed() -> None:
    receipt = a_receipt(BUNDLE).model_dump(mode="json")
    receipt["hosts"][0]["until"] = "2026-11-21T12:00:00"
    bundle = BUNDLE.model_copy(update={"receipt": signed(json.dumps(receipt).encode())})

    with pytest.raises(NotApproved, match="cannot read"):
        Receipts([PUBLIC]).approval_of(bundle)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"code": BUNDLE.code + "# more\n"}, "for other code"),
        ({"server": "another"}, "for another server"),
        ({"server": ""}, "for another server"),
        ({"module_set": "sha256:" + "2" * 64}, "another set of modules"),
        ({"module_set": None}, "another set of modules"),
        ({"hosts": ("api.example.com", "evil.example.com")}, "the host evil.example.com"),
        ({"hosts": ("*.example.com",)}, "the host *.example.com"),
        ({"modules": ("dateutil", "evil")}, "the module evil"),
    ],
)
def test_a_bundle_that_goes_beyond_its_receipt_is_refused(
    changed: dict[str, Any], reason: str
) -> None:
    bundle = released(BUNDLE).model_copy(update=changed)

    assert reason in refusal(bundle)


def test_a_module_is_not_covered_by_a_host_of_its_name() -> None:
    bundle = released(BUNDLE, modules=(), hosts=(*a_receipt(BUNDLE).hosts, *_named("dateutil")))

    assert "the module dateutil" in refusal(bundle)


@pytest.mark.parametrize("kind", ["hosts", "modules"])
def test_a_grant_counts_until_its_end_and_not_a_moment_longer(kind: str) -> None:
    until = tuple(
        grant.model_copy(update={"until": NOW}) for grant in getattr(a_receipt(BUNDLE), kind)
    )
    approval = receipts().approval_of(released(BUNDLE, **{kind: until}))

    approval.require((), NOW - A_MINUTE)
    for moment in (NOW, NOW + A_MINUTE):
        with pytest.raises(NotApproved, match=r"the grant of \S+ ended at 2026-11-21T12:00:00"):
            approval.require((), moment)


def test_the_end_of_a_grant_that_the_code_does_not_use_ends_nothing() -> None:
    unused = GrantedUntil(value="old.example.com", until=NOW)
    bundle = released(BUNDLE, hosts=(*a_receipt(BUNDLE).hosts, unused))

    receipts().approval_of(bundle).require((), NOW + A_MINUTE)


def test_a_secret_that_nobody_approved_is_refused() -> None:
    approval = receipts().approval_of(released(BUNDLE, secret_names=("TOKEN",)))

    with pytest.raises(NotApproved, match="the secret OTHER"):
        approval.require(["TOKEN", "OTHER"], NOW)


@pytest.mark.parametrize("text", ["AAAA", "not base64", "ü", f"{SIGNER.public_key},x"])
def test_what_is_no_public_key_is_named_before_anything_starts(text: str) -> None:
    with pytest.raises(ValueError, match="mcpbox receipts public-key"):
        public_keys(text)


def _named(value: str) -> tuple[GrantedUntil, ...]:
    return (GrantedUntil(value=value),)


STDIO = Bundle(
    code="",
    stdio=StdioServer(module="talker", args=("--quiet",), tool="add"),
    modules=("talker",),
    module_set="sha256:" + "1" * 64,
    server=SERVER,
)


def speaking(**changes: Any) -> StdioServer:
    assert STDIO.stdio is not None
    return STDIO.stdio.model_copy(update=changes)


def test_a_server_over_stdio_is_approved_tool_by_tool() -> None:
    receipts().approval_of(released(STDIO)).require((), NOW)


@pytest.mark.parametrize(
    "changes", [{"tool": "remove"}, {"args": ()}, {"module": "talker.other"}], ids=str
)
def test_a_receipt_is_for_one_tool_of_a_server_as_it_was_approved(changes: dict[str, Any]) -> None:
    bundle = released(STDIO).model_copy(update={"stdio": speaking(**changes)})

    assert "for other code" in refusal(bundle)


def test_no_receipt_lets_a_server_list_its_tools() -> None:
    listing = STDIO.model_copy(update={"stdio": speaking(tool=None)})

    assert "in a trial only" in refusal(released(listing))


def test_what_a_receipt_covers_of_a_server_is_canonical() -> None:
    assert STDIO.source == source_of("", STDIO.stdio)
    assert STDIO.source == '{"stdio":{"args":["--quiet"],"module":"talker","tool":"add"}}'
    assert BUNDLE.source == BUNDLE.code


def test_a_bundle_is_code_or_a_server() -> None:
    with pytest.raises(ValueError, match="has code, or a server"):
        Bundle(code="async def main(): pass", stdio=STDIO.stdio)
