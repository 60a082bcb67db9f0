"""Anchors leave the instance signed, and are taken only from whom they claim to be of."""

import hashlib
import hmac
import threading
from collections.abc import Generator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from mcpbox.anchors import (
    SIGNATURE_HEADER,
    AnchorExport,
    AnchorSigner,
    anchor_signed_by,
    anchors_in,
)
from mcpbox.domain.anchors import Anchor
from mcpbox.domain.errors import Invalid, NotFound, Refused, Unavailable

SIGNER = AnchorSigner(SecretStr("ab" * 32))
STRANGER = AnchorSigner(SecretStr("cd" * 32))
SECRET = "the webhook's own"


def an_anchor(sequence: int = 7) -> Anchor:
    at = datetime(2026, 11, 28, 12, 0, sequence, tzinfo=UTC)
    return Anchor(sequence=sequence, hash="f" * 64, at=at, instance=SIGNER.key_id)


class Webhook(HTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.status = status
        self.taken: list[tuple[str | None, bytes]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/anchors"


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert isinstance(self.server, Webhook)
        self.server.taken.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
        """Nothing: the test's output is the test's."""


@pytest.fixture
def webhook(request: pytest.FixtureRequest) -> Generator[Webhook]:
    with Webhook(getattr(request, "param", 204)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


async def test_exported_anchors_are_found_again_in_their_order(tmp_path: Path) -> None:
    export = AnchorExport(tmp_path / "anchors")
    for sequence in (9, 7):
        anchor = an_anchor(sequence)
        await export.export(anchor, SIGNER.sign(anchor))

    assert anchors_in(tmp_path / "anchors", [SIGNER.public]) == [an_anchor(7), an_anchor(9)]


async def test_the_same_anchor_again_is_one_file(tmp_path: Path) -> None:
    export = AnchorExport(tmp_path)
    paths = {await export.export(an_anchor(), SIGNER.sign(an_anchor())) for _ in range(2)}

    assert len(paths) == len(anchors_in(tmp_path, [SIGNER.public])) == 1


def test_an_anchor_of_somebody_else_or_of_another_time_is_refused() -> None:
    envelope = SIGNER.sign(an_anchor())

    with pytest.raises(Refused):
        anchor_signed_by([STRANGER.public], envelope)
    with pytest.raises(Invalid):
        anchor_signed_by([SIGNER.public], envelope.replace("audit-anchor", "receipt"))
    assert anchor_signed_by([STRANGER.public, SIGNER.public], envelope) == an_anchor()


def test_a_file_that_is_no_anchor_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("{}")

    with pytest.raises(Invalid, match=r"odd\.json"):
        anchors_in(tmp_path, [SIGNER.public])
    with pytest.raises(NotFound):
        anchors_in(tmp_path / "none", [SIGNER.public])


async def test_a_webhook_is_sent_the_envelope_with_its_hmac(
    tmp_path: Path, webhook: Webhook
) -> None:
    envelope = SIGNER.sign(an_anchor())

    await AnchorExport(tmp_path, webhook.address, SecretStr(SECRET)).export(an_anchor(), envelope)

    digest = hmac.new(SECRET.encode(), envelope.encode(), hashlib.sha256).hexdigest()
    assert webhook.taken == [(f"sha256={digest}", envelope.encode())]


@pytest.mark.parametrize("webhook", [500, 302], indirect=True)
async def test_a_webhook_that_does_not_take_it_is_an_error_that_is_tried_again(
    tmp_path: Path, webhook: Webhook
) -> None:
    export = AnchorExport(tmp_path, webhook.address)

    with pytest.raises(Unavailable, match=str(webhook.status)):
        await export.export(an_anchor(), SIGNER.sign(an_anchor()))
    assert len(webhook.taken) == 1
