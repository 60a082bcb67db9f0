"""A small HTTP/2 server: says back what was asked; ``/endless`` never ends."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions


@dataclass
class H2Origin:
    port: int = 0
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        state = h2.connection.H2Connection(config)
        state.initiate_connection()
        bodies: dict[int, bytes] = {}
        writer.write(state.data_to_send())
        try:
            while data := await reader.read(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        assert event.headers is not None
                        assert event.stream_id is not None
                        self.asked.append({str(k): str(v) for k, v in event.headers})
                        bodies[event.stream_id] = b""
                    elif isinstance(event, h2.events.DataReceived):
                        assert event.stream_id is not None
                        assert event.data is not None
                        bodies[event.stream_id] += event.data
                        state.acknowledge_received_data(
                            event.flow_controlled_length or 0, event.stream_id
                        )
                    elif isinstance(event, h2.events.StreamEnded):
                        assert event.stream_id is not None
                        self._answer(state, event.stream_id, bodies[event.stream_id])
                writer.write(state.data_to_send())
                await writer.drain()
        except (ConnectionError, h2.exceptions.ProtocolError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.gone.set()

    def _answer(self, state: h2.connection.H2Connection, stream: int, body: bytes) -> None:
        asked = self.asked[-1]
        state.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        if asked[":path"] == "/endless":
            state.send_data(stream, b"and so on")
            return
        said = {"headers": asked, "body": body.decode("latin-1"), "connection": self.connections}
        state.send_data(stream, json.dumps(said).encode(), end_stream=True)


@asynccontextmanager
async def serving_h2(context: ssl.SSLContext) -> AsyncGenerator[H2Origin]:
    origin = H2Origin()
    context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, ssl=context)
    origin.port = server.sockets[0].getsockname()[1]
    try:
        yield origin
    finally:
        server.close()
