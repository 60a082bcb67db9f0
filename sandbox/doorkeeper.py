"""Ends connections that are no use to anybody: too many, too slow, or with endless headers.

The server below bounds none of these, and they come before a key is asked for.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS = 512
MAX_HEADER_BYTES = 65536
RECEIVE_S = 60.0
"""For one whole request, headers and body."""
_REFUSAL = b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Doorkeeper(HttpToolsProtocol):
    max_connections = MAX_CONNECTIONS
    receive_s = RECEIVE_S

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_headers = False
        self._header_bytes = 0
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
        else:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._received()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0
        self._expect()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_headers = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._received()

    def _expect(self) -> None:
        if self._overdue is None:
            late = b"408 Request Timeout"
            self._overdue = self.loop.call_later(self.receive_s, self._refuse, late)

    def _received(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _refuse(self, status: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self.transport.write(_REFUSAL % status)
            self.transport.close()
