"""Sends one notice to one target: signed webhooks, Slack, Discord, mail."""

import asyncio
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import httpx
from pydantic import SecretStr

from mcpbox.addresses import NotPublic, judged_address
from mcpbox.domain.notices import Notice, TargetKind
from mcpbox.settings import Settings

TIMEOUT_S = 15.0
DELIVERY_HEADER = "x-mcpbox-delivery"
TIMESTAMP_HEADER = "x-mcpbox-timestamp"
SIGNATURE_HEADER = "x-mcpbox-signature"


class NotDelivered(Exception):
    """The message says why, and holds no address that is secret and no body."""


class Sender:
    @classmethod
    def of(cls, settings: Settings) -> "Sender":
        return cls(
            panel_url=settings.panel_link,
            smtp_url=settings.smtp_url,
            mail_from=settings.mail_from,
        )

    def __init__(
        self, *, panel_url: str, smtp_url: SecretStr | None = None, mail_from: str | None = None
    ) -> None:
        """``panel_url``: what deep links begin with. ``smtp_url``: ``smtp(s)://user:pw@host:port``.

        Without ``smtp_url``, mail is not delivered.
        """
        self._panel_url = panel_url.rstrip("/")
        self._smtp_url = smtp_url
        self._mail_from = mail_from

    async def send(
        self,
        kind: TargetKind,
        address: str,
        secret: str,
        notice: Notice,
        delivery_id: UUID,
        *,
        private: bool,
    ) -> None:
        """The receiver knows a repeated delivery by its id. Raises: NotDelivered."""
        link = f"{self._panel_url}{notice.path}"
        if kind is TargetKind.EMAIL:
            message = self._mail(address, notice, link, delivery_id)
            await asyncio.to_thread(self._send_mail, message)
            return
        body = json.dumps(_body(kind, notice, link, delivery_id)).encode()
        headers = {"content-type": "application/json", DELIVERY_HEADER: str(delivery_id)}
        if kind is TargetKind.WEBHOOK:
            stamp = str(int(time.time()))
            headers[TIMESTAMP_HEADER] = stamp
            headers[SIGNATURE_HEADER] = signature_of(secret, stamp, body)
        await _post(address, body, headers, private=private)

    def _mail(self, to: str, notice: Notice, link: str, delivery_id: UUID) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._mail_from or "mcpbox@localhost"
        message["To"] = to
        # One line, whatever is in a name: a line feed would begin a header of its author's.
        message["Subject"] = " ".join(f"[mcpbox] {notice.sentence}".split())
        message["Message-ID"] = f"<{delivery_id}@mcpbox>"
        message.set_content(f"{notice.sentence}\n\n{link}\n")
        return message

    def _send_mail(self, message: EmailMessage) -> None:
        if not self._smtp_url:
            raise NotDelivered("MCPBOX_SMTP_URL is not set, so no mail can be sent.")
        server = urlsplit(self._smtp_url.get_secret_value())
        host, context = server.hostname or "", ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(host, server.port or 465, timeout=TIMEOUT_S, context=context)
                if server.scheme == "smtps"
                else smtplib.SMTP(host, server.port or 587, timeout=TIMEOUT_S)
            ) as smtp:
                smtp.ehlo()
                if server.scheme == "smtp" and smtp.has_extn("starttls"):
                    smtp.starttls(context=context)
                if server.username:
                    if not isinstance(smtp.sock, ssl.SSLSocket):
                        # Somebody on the way may have taken the offer of TLS out of the greeting.
                        raise NotDelivered(
                            "The mail server offers no TLS, so the password was not sent to it."
                        )
                    smtp.login(unquote(server.username), unquote(server.password or ""))
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"The mail server did not take it: {type(error).__name__}.") from (
                error
            )


def signature_of(secret: str, timestamp: str, body: bytes) -> str:
    """``v1=`` and the hexadecimal HMAC-SHA256 over ``timestamp``, a dot, and the body."""
    signed = timestamp.encode() + b"." + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _body(kind: TargetKind, notice: Notice, link: str, delivery_id: UUID) -> dict[str, Any]:
    if kind is TargetKind.SLACK:
        escaped = notice.sentence.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {"text": f"{escaped} <{link}|Open in mcpbox>"}
    if kind is TargetKind.DISCORD:
        return {"content": f"{notice.sentence} {link}", "allowed_mentions": {"parse": []}}
    return {
        "id": str(delivery_id),
        "event": notice.event,
        "about": notice.about,
        "text": notice.sentence,
        "link": link,
    }


async def _post(address: str, body: bytes, headers: dict[str, str], *, private: bool) -> None:
    """To an address that was looked up and judged just before, and to no other."""
    url = httpx.URL(address)
    pinned = await _resolved(url, private=private)
    host = f"[{pinned}]" if ":" in pinned else pinned
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            answer = await http.post(
                url.copy_with(host=host),
                content=body,
                headers=headers | {"host": url.netloc.decode()},
                extensions={"sni_hostname": url.host},
            )
    except httpx.HTTPError as error:
        raise NotDelivered(f"The receiver cannot be reached: {type(error).__name__}.") from error
    if not answer.is_success:
        raise NotDelivered(f"The receiver answered {answer.status_code}.")


async def _resolved(url: httpx.URL, *, private: bool) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        return await judged_address(url.host, port, allow_private=private)
    except NotPublic as error:
        raise NotDelivered(
            "The receiver is on a private network; a target may be only where its admin consents."
        ) from error
    except (OSError, UnicodeError) as error:
        raise NotDelivered("The name of the receiver cannot be looked up.") from error
