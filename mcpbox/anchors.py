"""Signed anchors of the audit log: made here, kept where who rewrites the log cannot reach."""

import asyncio
import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import SecretStr, ValidationError

from mcpbox import dsse
from mcpbox.crypto import SigningKey
from mcpbox.domain.anchors import ANCHOR_TYPE, Anchor
from mcpbox.domain.errors import Invalid, NotFound, Unavailable
from mcpbox.receipts import PURPOSE
from mcpbox.settings import Settings
from sandbox.contract import receipt_key_id

SIGNATURE_HEADER = "x-mcpbox-signature"
"""``sha256=`` and the HMAC-SHA256 of the body, in hexadecimal digits."""
_NOUN = "anchor"
_TIMEOUT_S = 10.0
_MAX_BYTES = 64 * 1024


class AnchorSigner:
    def __init__(self, encryption_key: SecretStr) -> None:
        self._key = SigningKey(encryption_key, PURPOSE)
        self.public = self._key.public
        self.key_id = receipt_key_id(self._key.public)
        """It names the instance in its anchors."""

    def sign(self, anchor: Anchor) -> str:
        """A DSSE envelope, as JSON."""
        return dsse.sealed(anchor.model_dump_json().encode(), ANCHOR_TYPE, self._key)


def anchor_signed_by(publics: Sequence[bytes], envelope: str) -> Anchor:
    """Raises: Refused: none of these keys has signed it; Invalid: it is no anchor."""
    payload = dsse.opened(envelope, ANCHOR_TYPE, publics, noun=_NOUN)
    try:
        return Anchor.model_validate_json(payload)
    except ValidationError:
        raise Invalid("The anchor says what this version cannot read.") from None


def anchors_in(directory: Path, publics: Sequence[bytes]) -> list[Anchor]:
    """Oldest first; every file named ``*.json`` has to be one.

    Raises: NotFound: no such directory; Refused, Invalid: naming the file that does not hold.
    """
    if not directory.is_dir():
        raise NotFound("directory", directory)
    found: list[Anchor] = []
    for path in sorted(directory.glob("*.json")):
        try:
            with path.open("rb") as opened:
                text = opened.read(_MAX_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            raise Invalid(f"{path} cannot be read as text.") from None
        try:
            found.append(anchor_signed_by(publics, text))
        except Invalid as error:
            raise Invalid(f"{path}: {error}") from error
    return sorted(found, key=lambda anchor: (anchor.sequence, anchor.at))


class AnchorExport:
    """Brings an anchor to a directory, and to a webhook where one is set. Safe to repeat."""

    def __init__(
        self, directory: Path, webhook: str | None = None, secret: SecretStr | None = None
    ) -> None:
        self._directory = directory
        self._webhook = webhook
        self._secret = secret

    @classmethod
    def of(cls, settings: Settings) -> "AnchorExport":
        directory = settings.audit_anchor_dir or settings.data_dir / "audit-anchors"
        return cls(directory, settings.audit_anchor_webhook, settings.audit_anchor_webhook_secret)

    async def export(self, anchor: Anchor, envelope: str) -> Path:
        """Where it was written.

        Raises: Unavailable: the directory cannot be written, or the webhook does not take it.
        """
        path = await asyncio.to_thread(self._write, anchor, envelope)
        if self._webhook is not None:
            await self._post(self._webhook, envelope)
        return path

    def _write(self, anchor: Anchor, envelope: str) -> Path:
        path = self._directory / f"{anchor.at:%Y%m%dT%H%M%SZ}-{anchor.sequence}.json"
        draft = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("w") as stream:
                stream.write(envelope)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except OSError as error:
            raise Unavailable(
                f"The directory of anchors, {self._directory},",
                f"The anchor is kept in the database only: {error.strerror}.",
            ) from error
        return path

    async def _post(self, webhook: str, envelope: str) -> None:
        body = envelope.encode()
        headers = {"content-type": "application/json"}
        if key := self._secret.get_secret_value().encode() if self._secret else b"":
            digest = hmac.new(key, body, hashlib.sha256).hexdigest()
            headers[SIGNATURE_HEADER] = f"sha256={digest}"
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                answer = await client.post(webhook, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable("The webhook for anchors", "It is tried again.") from error
        if not answer.is_success:
            raise Unavailable(
                "The webhook for anchors", f"It answered {answer.status_code}; it is tried again."
            )
