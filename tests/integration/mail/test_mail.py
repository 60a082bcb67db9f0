"""Mail leaves over an encrypted way, to those it is for, with a sentence and a link."""

from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import SecretStr

from mcpbox.domain.notices import Event, Notice, TargetKind
from mcpbox.sending import NotDelivered, Sender
from tests.integration.mail.server import PASSWORD, USER, MailServer, mail_server
from tests.integration.sandbox.tls import Authority

NOTICE = Notice(
    key="k",
    event=Event.REQUEST_WAITING,
    about="publish weather__forecast v2",
    path="/approvals?id=7",
)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority.in_(tmp_path)
    # Where OpenSSL looks for what this machine trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


def sender_to(server: MailServer, *, password: str = PASSWORD) -> Sender:
    return Sender(
        panel_url="https://box.example.org/",
        smtp_url=SecretStr(f"smtp://{USER}:{quote(password)}@localhost:{server.port}"),
        mail_from="box@example.org",
    )


async def send(sender: Sender, to: str = "ana@example.org", notice: Notice = NOTICE) -> None:
    await sender.send(TargetKind.EMAIL, to, "", notice, uuid4(), private=False)


async def test_mail_comes_encrypted_and_signed_in_with_a_sentence_and_a_link(
    authority: Authority,
) -> None:
    async with mail_server(authority.serving("localhost")) as server:
        await send(sender_to(server), "ana@example.org, eve@example.org")

    [message] = server.arrived
    assert server.secured == [True]
    assert server.recipients == ["ana@example.org", "eve@example.org"]
    assert message["From"] == "box@example.org"
    assert message["Subject"] == "[mcpbox] publish weather__forecast v2 waits for a decision."
    assert message.get_content().splitlines() == [
        "publish weather__forecast v2 waits for a decision.",
        "",
        "https://box.example.org/approvals?id=7",
    ]
    assert b"AUTH" not in server.heard


async def test_a_password_is_sent_to_nobody_who_offers_no_tls() -> None:
    """Somebody on the way takes the offer out of the greeting."""
    async with mail_server() as server:
        with pytest.raises(NotDelivered, match="offers no TLS"):
            await send(sender_to(server))

    assert b"AUTH" not in server.heard
    assert server.arrived == []


async def test_a_server_with_a_certificate_of_nobody_we_trust_gets_nothing(
    tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority.in_(tmp_path / "other")
    async with mail_server(stranger.serving("localhost")) as server:
        with pytest.raises(NotDelivered, match="did not take it"):
            await send(sender_to(server))

    assert server.arrived == []


async def test_a_wrong_password_is_told_without_the_password(authority: Authority) -> None:
    async with mail_server(authority.serving("localhost")) as server:
        with pytest.raises(NotDelivered) as told:
            await send(sender_to(server, password="not this one"))

    assert "SMTPAuthenticationError" in str(told.value)
    assert "not this one" not in str(told.value)
    assert server.arrived == []


async def test_a_name_with_line_feeds_makes_no_header_of_its_own(authority: Authority) -> None:
    forged = NOTICE.model_copy(update={"about": "x\r\nBcc: eve@example.org\r\n\r\nBuy this."})
    async with mail_server(authority.serving("localhost")) as server:
        await send(sender_to(server), notice=forged)

    [message] = server.arrived
    assert message["Bcc"] is None
    assert server.recipients == ["ana@example.org"]
    assert "Bcc: eve@example.org Buy this." in message["Subject"]
