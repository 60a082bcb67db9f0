"""A service that does nothing but be ready: ``stand_in.py worker|sandbox|gateway|admin``."""

import asyncio
import os
import sys
from pathlib import Path

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(_OK)
    await writer.drain()
    writer.close()


async def serve(name: str) -> None:
    if name == "sandbox":
        await asyncio.start_unix_server(answer, os.environ["MCPBOX_SANDBOX_SOCKET"])
        # A child of its own in the same session, as the sandbox has many.
        await asyncio.create_subprocess_exec("sleep", "600")
    elif name != "worker":
        port = os.environ[f"MCPBOX_{name.upper()}_PORT"]
        await asyncio.start_server(answer, "127.0.0.1", int(port))
    sys.stdout.write(f"{name} serves; it sees {len(os.environ)} variables\n")
    sys.stdout.flush()
    if name == "worker":
        await asyncio.to_thread(Path(os.environ["MCPBOX_READY_FILE"]).write_text, str(os.getpid()))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
