"""A small internet in namespaces of its own, with a sandbox service in it.

Public and private addresses lie on its loopback device, and a name server leads to them.
``python -m tests.integration.sandbox.public_net DIRECTORY`` is that internet, once it runs inside
``unshare``; :func:`public_net` starts it, and is how tests see it.
"""

import asyncio
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.integration.sandbox.dns import NameServer
from tests.integration.sandbox.origin import Answer, Asked, Origin, response, serving_origin
from tests.integration.sandbox.running import API_KEY, ROOT, RunningService, client_of
from tests.integration.sandbox.tls import Authority
from tests.receipts import SIGNER

PUBLIC = "93.184.216.34"
OTHER_PUBLIC = "93.184.216.35"
PRIVATE = "10.0.0.5"
METADATA = "169.254.169.254"
NAMES: dict[str, list[list[str]]] = {
    "api.public.test": [[PUBLIC]],
    "other.public.test": [[OTHER_PUBLIC]],
    "inner.test": [[PRIVATE]],
    "metadata.test": [[METADATA]],
    "mixed.test": [[PUBLIC, PRIVATE]],
    "mapped.test": [[PUBLIC, f"::ffff:{PUBLIC}"]],
    "rebinding.test": [[PUBLIC], [PRIVATE]],
    "nowhere.test": [[]],
}
START_TIMEOUT_S = 40
_UNSHARE = ("unshare", "--net", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
_UP_AND_RUNNING = 0x41


def can_unshare() -> bool:
    """As root, or where the machine lets its users have namespaces."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603


@dataclass(frozen=True)
class Seen:
    asked: dict[str, list[str]]
    """``{address: [method, host header and target of each request]}``, in the order they came."""
    server_names: list[str]
    """That clients asked for, in TLS."""
    resolved: dict[str, int]


class PublicNet:
    def __init__(self, service: RunningService, control: httpx.AsyncClient) -> None:
        self.service = service
        self._control = control

    async def seen(self) -> Seen:
        """Since this was asked before."""
        return Seen(**(await self._control.get("/seen")).json())

    async def fetch(self, url: str) -> str:
        """From inside, without any broker."""
        return (await self._control.get("/fetch", params={"url": url})).text


@asynccontextmanager
async def public_net(directory: Path) -> AsyncGenerator[PublicNet]:
    process = await asyncio.create_subprocess_exec(
        *(*_UNSHARE, sys.executable, "-m", __name__, str(directory)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    control = httpx.AsyncHTTPTransport(uds=str(directory / "control.sock"))
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            assert await process.stdout.readline() == b"ready\n"
        async with (
            client_of(directory / "sandbox.sock") as client,
            httpx.AsyncClient(transport=control, base_url="http://control") as seeing,
        ):
            yield PublicNet(RunningService(process, client), seeing)
    finally:
        process.stdin.close()  # it ends itself then, and what it started
        await process.wait()


async def main(directory: Path) -> None:
    _resolve_here(directory)
    for number, address in enumerate(("127.0.0.1", PUBLIC, OTHER_PUBLIC, PRIVATE, METADATA)):
        _add_address(f"lo:{number}" if number else "lo", address)
    names = NameServer(NAMES)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 53))
    authority = Authority.in_(directory)
    context = authority.serving("api.public.test", "inner.test")
    server_names: list[str] = []
    context.sni_callback = lambda _, name, __: server_names.append(name)
    async with AsyncExitStack() as stack:
        origins: dict[str, Origin] = {}
        for address in (PUBLIC, OTHER_PUBLIC, PRIVATE, METADATA):
            plain = serving_origin(address=address, port=80)
            origins[address] = await stack.enter_async_context(plain)
            origins[address].answers["/to"] = _redirect
            origins[address].answers["/bye"] = _bye
        tls = serving_origin(context, address=PUBLIC, port=443)
        origins["tls"] = await stack.enter_async_context(tls)
        control = Origin()
        control.answers["/seen"] = _seen(origins, server_names, names)
        control.answers["/fetch"] = _fetch
        await asyncio.start_unix_server(control.serve, directory / "control.sock")
        await _with_sandbox(directory, authority)


async def _with_sandbox(directory: Path, authority: Authority) -> None:
    """Until standard input ends."""
    proxy = f"http://{METADATA}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.app"),
        cwd=ROOT,
        env={
            "PATH": os.defpath,
            "MCPBOX_SANDBOX_SOCKET": str(directory / "sandbox.sock"),
            "MCPBOX_SANDBOX_API_KEY": API_KEY,
            "MCPBOX_SANDBOX_RECEIPT_KEYS": SIGNER.public_key,
            "SSL_CERT_FILE": str(authority.path),
            **dict.fromkeys(("HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), proxy),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        while b"INFO ready" not in await process.stderr.readline():
            assert process.returncode is None
        draining = asyncio.ensure_future(process.stderr.read())
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        draining.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _resolve_here(directory: Path) -> None:
    path = directory / "resolv.conf"
    path.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    subprocess.run(["mount", "--bind", path, "/etc/resolv.conf"], check=True)  # noqa: S603, S607


def _add_address(device: str, address: str) -> None:
    name = device.encode().ljust(16, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for asked, value in ((_SET_ADDRESS, address), (_SET_MASK, "255.255.255.255")):
            if device != "lo":  # which has its own already
                raw = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
                fcntl.ioctl(control, asked, name + raw)
        fcntl.ioctl(control, _SET_FLAGS, name + struct.pack("=H14x", _UP_AND_RUNNING))


async def _redirect(asked: Asked, writer: asyncio.StreamWriter) -> None:
    target = asked.target.partition("?")[2]
    writer.write(response(b"", f"Location: {target}", status="302 There"))


async def _bye(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"bye", "Connection: close"))
    await writer.drain()
    writer.close()


async def _fetch(asked: Asked, writer: asyncio.StreamWriter) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(httpx.URL(f"http://x{asked.target}").params["url"])
    writer.write(response(answer.content))


def _seen(origins: dict[str, Origin], server_names: list[str], names: NameServer) -> Answer:
    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        seen = {
            "asked": {
                address: [f"{one.method} {one.header('host')}{one.target}" for one in origin.asked]
                for address, origin in origins.items()
                if origin.asked
            },
            "server_names": server_names,
            "resolved": names.asked,
        }
        writer.write(response(json.dumps(seen).encode()))
        server_names.clear()
        names.asked.clear()
        for origin in origins.values():
            origin.asked.clear()

    return answer


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
