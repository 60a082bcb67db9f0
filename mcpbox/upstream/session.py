"""A session with one source, in whichever era of the protocol it speaks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx2
from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation
from pydantic import SecretStr

from mcpbox.addresses import Resolver, resolve
from mcpbox.domain.upstreams import HttpEndpoint
from mcpbox.upstream.transport import ANSWER_MAX_BYTES, SourceTransport

CONNECT_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 20.0
"""Of each message but a call, which has a time of its own."""
_SILENCE_S = 300.0
"""Of a stream; who asks gives up earlier."""


@asynccontextmanager
async def connected(
    endpoint: HttpEndpoint,
    secret: SecretStr | None,
    *,
    allow_private: bool,
    on_message: MessageHandlerFnT | None = None,
    resolver: Resolver = resolve,
) -> AsyncGenerator[Client]:
    """Inside :func:`mcpbox.upstream.asking.asking`, which says what its errors mean.

    It declares no capability, so what a source asks of its client is answered as not supported.
    """
    transport = SourceTransport(endpoint, secret, allow_private=allow_private, resolver=resolver)
    timeout = httpx2.Timeout(CONNECT_TIMEOUT_S, read=_SILENCE_S)
    async with (
        httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as http,
        Client(
            streamable_http_client(
                endpoint.url, http_client=http, max_sse_event_size=ANSWER_MAX_BYTES
            ),
            client_info=Implementation(name="mcpbox", version=version("mcpbox")),
            message_handler=on_message,
            read_timeout_seconds=REQUEST_TIMEOUT_S,
            cache=None,
        ) as client,
    ):
        yield client
