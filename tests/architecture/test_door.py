"""deploy/door.py, by which a container is reached that reaches nothing itself."""

import asyncio
from collections.abc import Callable

from deploy.door import open_door


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


async def exchange(port: int, sent: bytes) -> bytes:
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        received = await reader.read()
        writer.close()
        return received


async def test_a_door_passes_bytes_and_the_end_of_them(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    port, inner_port = unused_tcp_port_factory(), unused_tcp_port_factory()
    sent = b"x" * 300_000

    async with (
        await asyncio.start_server(echo, "127.0.0.1", inner_port),
        await open_door(port, "127.0.0.1", inner_port),
    ):
        assert await exchange(port, sent) == sent


async def test_a_door_to_nobody_closes_at_once(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    port, nobody = unused_tcp_port_factory(), unused_tcp_port_factory()

    async with await open_door(port, "127.0.0.1", nobody):
        assert await exchange(port, b"") == b""
