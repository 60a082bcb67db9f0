"""The admin process: the REST API, and the panel that reaches data only through it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx
import uvicorn
from fastapi import FastAPI

from api.app import PREFIX, build_api
from api.deps import PANEL_ADDRESS, CodecServer, Parts
from mcpbox import logs, tracing
from mcpbox.anchors import AnchorSigner
from mcpbox.crypto import derive
from mcpbox.news import RequestNews
from mcpbox.payloads import EncryptingCodec
from mcpbox.receipts import ReceiptSigner
from mcpbox.sandbox_client import SandboxClient
from mcpbox.sending import Sender
from mcpbox.settings import Settings
from mcpbox.store.changes import Changes, Topic
from mcpbox.store.session import make_sessions
from mcpbox.temporal import TemporalGate, settle
from mcpbox.usecases.audit import Audit
from mcpbox.usecases.clients import Clients
from mcpbox.usecases.executions import Executions
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.grants import Grants
from mcpbox.usecases.network import Network
from mcpbox.usecases.notices import Notices, TargetSeals
from mcpbox.usecases.people import People
from mcpbox.usecases.receipts import Receipts
from mcpbox.usecases.recovery import Recoveries
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.review_policy import ReviewPolicies
from mcpbox.usecases.reviewing import Reviewing
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.source_needs import SourceNeeds
from mcpbox.usecases.source_sign_in import SourceSignIn
from mcpbox.usecases.tool_switches import ToolSwitches
from mcpbox.usecases.tools import Tools
from mcpbox.usecases.users import Users
from mcpbox.vault import Vault
from ui.app import install
from ui.live import Live
from ui.sessions import cookie_name

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def main() -> None:
    settings = Settings()
    logs.configure("admin", settings.log_level)
    tracing.configure("admin")
    uvicorn.run(
        build_admin(settings),
        host=settings.bind_host,
        port=settings.admin_port,
        log_config=None,
        access_log=False,  # NiceGUI's socket address holds a capability
        timeout_graceful_shutdown=3,
    )


def build_admin(settings: Settings) -> FastAPI:
    news = RequestNews()
    parts = build_parts(settings, news)
    live = Live()
    app = build_api(
        parts,
        hosts=frozenset(settings.public_hosts),
        web_ui_origin=settings.temporal_ui_origin,
        lifespan=_alongside(parts, settings, live, news),
    )
    names = (*_LOOPBACK, *settings.public_hosts)
    install(
        app,
        api=_client_maker(app),
        live=live,
        allowed_hosts=frozenset(names)
        | frozenset(f"{name}:{settings.admin_port}" for name in names),
        storage_secret=derive(settings.required_encryption_key, "panel storage"),
        secure_cookie=settings.panel_https,
    )
    return app


def build_parts(settings: Settings, news: RequestNews | None = None) -> Parts:
    """``news``: of requests, where the process hears of them."""
    sessions = make_sessions(settings.required_database_url)
    gate = TemporalGate(
        settings.temporal_target, settings.temporal_namespace, settings.temporal_keys
    )
    requests = Requests(sessions, gate, ttl=settings.request_ttl, news=news)
    recoveries = Recoveries(sessions, gate)
    secrets = Secrets(sessions, requests, Vault(settings.required_secrets_key))
    return Parts(
        sessions=sessions,
        temporal=gate,
        sandbox=SandboxClient.of(settings),
        people=People(sessions),
        users=Users(sessions),
        clients=Clients(sessions),
        servers=Servers(sessions),
        deletion=ServerDeletion(sessions, requests, recoveries),
        tools=Tools(sessions, requests),
        switches=ToolSwitches(sessions),
        requests=requests,
        grants=Grants(sessions),
        releases=Releases(sessions, requests),
        secrets=secrets,
        sources=Sources(sessions, gate, requests),
        sign_in=SourceSignIn(sessions, secrets, settings.required_secrets_key),
        panel_url=settings.panel_link.rstrip("/"),
        source_needs=SourceNeeds(sessions, requests, Network(sessions, requests), secrets),
        reviewing=Reviewing(sessions, requests),
        receipts=Receipts(sessions, ReceiptSigner(settings.required_encryption_key)),
        executions=Executions(sessions),
        audit=Audit(sessions, AnchorSigner(settings.required_encryption_key)),
        review_policies=ReviewPolicies(sessions),
        recoveries=recoveries,
        notices=Notices(
            sessions, TargetSeals(settings.required_encryption_key), Sender.of(settings)
        ),
        codec_server=CodecServer(
            EncryptingCodec(settings.temporal_keys),
            settings.temporal_ui_origin,
            cookie_name(secure=settings.panel_https),
        ),
    )


def _client_maker(app: FastAPI) -> Callable[[str | None], httpx.AsyncClient]:
    """Clients that call the API in this process, each with the token of one visitor."""
    # A bug in the API is answered like any other request's, not raised into the panel.
    transport = httpx.ASGITransport(app, client=(PANEL_ADDRESS, 0), raise_app_exceptions=False)

    def client(token: str | None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=transport,
            base_url=f"http://{PANEL_ADDRESS}{PREFIX}/",
            headers={} if token is None else {"authorization": f"Bearer {token}"},
        )

    return client


def _alongside(
    parts: Parts, settings: Settings, live: Live, news: RequestNews
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Tells open pages what the database says has changed, for as long as the process lives."""

    def tell(topic: Topic, key: str) -> None:
        live.emit(topic, key)
        if topic is Topic.REQUESTS:
            news.changed(key)

    def refresh_everything() -> None:
        for topic in Topic:
            tell(topic, "")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        changes = Changes(settings.required_database_url, tell, refresh_everything)
        listening = asyncio.create_task(changes.run())
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            await parts.sandbox.aclose()
            await settle()
            await tracing.close()

    return lifespan
