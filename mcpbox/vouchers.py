"""Vouchers: whether a command came through a face of ours, which knows who is asking.

Whoever reaches Temporal can send the same command by its own means, and claim any channel.
"""

import hmac
import json
from collections.abc import Sequence

from pydantic import SecretStr

from mcpbox.crypto import derive
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.ids import RequestId

_PURPOSE = "vouchers"


class Vouchers:
    """HMAC-SHA256 over what the channel is vouched for. Source: RFC 2104."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        """``keys``: newest first; those of the payloads."""
        self._keys = [bytes.fromhex(derive(key, _PURPOSE)) for key in keys]

    def for_decision(
        self, request_id: RequestId, draft: DecisionDraft, reviewer: str, channel: Channel
    ) -> str:
        return self._made(self._keys[0], _of_decision(request_id, draft, reviewer, channel))

    def for_retraction(self, request_id: RequestId, reviewer: str, channel: Channel) -> str:
        return self._made(self._keys[0], _of_retraction(request_id, reviewer, channel))

    def channel_of_decision(
        self,
        voucher: str,
        request_id: RequestId,
        draft: DecisionDraft,
        reviewer: str,
        claimed: Channel,
    ) -> Channel:
        """``claimed``, if a face of ours vouched for exactly that; else it came by Temporal."""
        return self._judged(voucher, _of_decision(request_id, draft, reviewer, claimed), claimed)

    def channel_of_retraction(
        self, voucher: str, request_id: RequestId, reviewer: str, claimed: Channel
    ) -> Channel:
        """As above."""
        return self._judged(voucher, _of_retraction(request_id, reviewer, claimed), claimed)

    def _judged(self, voucher: str, said: bytes, claimed: Channel) -> Channel:
        holds = any(
            hmac.compare_digest(self._made(key, said).encode(), voucher.encode())
            for key in self._keys
        )
        return claimed if holds else Channel.TEMPORAL

    @staticmethod
    def _made(key: bytes, said: bytes) -> str:
        return hmac.digest(key, said, "sha256").hex()


def _of_decision(
    request_id: RequestId, draft: DecisionDraft, reviewer: str, channel: Channel
) -> bytes:
    return _said(
        "decision",
        str(request_id),
        str(draft.id),
        draft.verdict,
        draft.seen_digest,
        str(draft.break_glass),
        reviewer,
        channel,
    )


def _of_retraction(request_id: RequestId, reviewer: str, channel: Channel) -> bytes:
    return _said("retraction", str(request_id), reviewer, channel)


def _said(*words: str) -> bytes:
    return json.dumps(words).encode()
