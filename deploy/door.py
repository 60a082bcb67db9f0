"""A door: passes TCP connections from a published port to one service, and nothing the other way.

A container with a published port sits on a network with a way out. The door sits there instead of
the service, whose own networks are internal: so it is reached, and reaches nothing.

Usage: ``python door.py PORT HOST:PORT``
"""

import asyncio
import sys
from contextlib import suppress

CONNECT_TIMEOUT_S = 5.0
CHUNK_BYTES = 64 * 1024


def main() -> None:
    port, target = sys.argv[1:]
    host, _, target_port = target.rpartition(":")
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(port), host, int(target_port)))


async def serve(port: int, host: str, target_port: int) -> None:
    async with await open_door(port, host, target_port) as door:
        await door.serve_forever()


async def open_door(port: int, host: str, target_port: int) -> asyncio.Server:
    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                inner_reader, inner_writer = await asyncio.open_connection(host, target_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass(reader, inner_writer), _pass(inner_reader, writer))
        inner_writer.close()
        writer.close()

    return await asyncio.start_server(visit, port=port)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the sending side ends; then the other side is told that it has."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


if __name__ == "__main__":
    main()
