"""Receipts for tests, signed as the worker does it, with a key of the tests' own."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from mcpbox.receipts import ReceiptSigner
from sandbox.contract import Bundle, GrantedUntil, Receipt

SIGNER = ReceiptSigner(SecretStr("5e" * 32))
SERVER = "8a1c1c6e-0d3b-4a4e-9d4e-0f6f6a3b2c1d"


def a_receipt(bundle: Bundle, **changes: Any) -> Receipt:
    """Covers all of the bundle, without an end."""
    receipt = Receipt(
        digest="sha256:" + "0" * 64,
        code_sha256=hashlib.sha256(bundle.source.encode()).hexdigest(),
        server=bundle.server or SERVER,
        tool="2f6c1a52-5f0e-4b54-8a8e-5c2c6c0e9d11",
        request="c0a5f9c4-0c1f-4b7d-9a53-3c1e3f0a8b77",
        approved_by=("ana",),
        approved_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        modules=tuple(GrantedUntil(value=module) for module in bundle.modules),
        module_set=bundle.module_set,
        hosts=tuple(GrantedUntil(value=host) for host in bundle.hosts),
    )
    return receipt.model_copy(update=changes)


def released(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle as the gateway sends it; ``changes`` are made to its receipt."""
    receipt = a_receipt(bundle, **changes)
    return bundle.model_copy(
        update={"server": bundle.server or SERVER, "receipt": SIGNER.sign(receipt)}
    )
