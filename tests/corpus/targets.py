"""What the abuse is after: files, listeners, a process and its memory; each tells who got there."""

import asyncio
import os
import secrets
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.sandbox.web import Web, serving

OWN_ADDRESS = "192.0.2.77"
OVER_MB = 400
_VICTIM = """
import ctypes, signal, sys
kept = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
print(ctypes.addressof(kept), flush=True)
signal.pause()
"""
_MOVABLES = ("movable", "deletable", "chmodable", "truncatable")


class Tokens:
    """Random, so that no snippet can know what it did not reach."""

    def __init__(self) -> None:
        self.file = _token("FILE")
        self.network = _token("NET")
        self.environment = _token("ENV")
        self.secret = _token("B")
        self.call = _token("CALL")
        self.victim = _token("VICTIM")


class Canary:
    """Listens on every kind of socket, and counts who comes."""

    def __init__(self, token: str) -> None:
        self.hits = 0
        self._token = token

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        try:
            async with asyncio.timeout(1):
                await reader.read(4096)
            body = self._token.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()

    def datagrams(self) -> asyncio.DatagramProtocol:
        return _Datagrams(self, self._token.encode())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, canary: Canary, answer: bytes) -> None:
        self._canary = canary
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        del data
        self._canary.hits += 1
        if addr is not None and isinstance(self._transport, asyncio.DatagramTransport):
            self._transport.sendto(self._answer, addr)  # pyright: ignore[reportArgumentType]


class Targets:
    """For processes of one user: the sandbox must not be saved by want of rights."""

    def __init__(self, directory: Path, user: int, *, wall_s: float) -> None:
        self.tokens = Tokens()
        self.canary = Canary(self.tokens.network)
        self.web = Web()
        self.victim: asyncio.subprocess.Process | None = None
        self._user = user
        self._open = directory / "open"
        self._file = directory / "canary.mime"
        self._unix = directory / "canary.sock"
        self._abstract = f"canary-{secrets.token_hex(4)}"
        self._file.write_text(f"{self.tokens.file} ext\n")
        self._victim_address = ""
        self._ports: dict[str, int] = {}
        self._wall_s = wall_s

    @property
    def ports(self) -> Mapping[str, int]:
        return self._ports

    def values(self) -> dict[str, str]:
        """For the placeholders, as things are now."""
        victim = self.victim.pid if self.victim else 0
        return {
            "@@CANARY_FILE@@": str(self._file),
            "@@CANARY_DIR@@": str(self._open),
            "@@T_FILE@@": self.tokens.file,
            "@@T_NET@@": self.tokens.network,
            "@@T_ENV@@": self.tokens.environment,
            "@@T_SECRET_B@@": self.tokens.secret,
            "@@T_CALL@@": self.tokens.call,
            "@@T_VICTIM@@": self.tokens.victim,
            "@@PORT@@": str(self._ports["tcp"]),
            "@@UDP@@": str(self._ports["udp"]),
            "@@UNIX@@": str(self._unix),
            "@@ABSTRACT@@": self._abstract,
            "@@ABSTRACT_DGRAM@@": f"{self._abstract}-dgram",
            "@@ALLOWED_HP@@": f"127.0.0.1:{self.web.port}",
            "@@ALLOWED_HOST@@": "127.0.0.1",
            "@@ALLOWED@@": self.web.origin,
            "@@HOST@@": f"127.0.0.1:{self.web.port}",
            "@@OWN_IP@@": OWN_ADDRESS,
            "@@HOSTNAME@@": socket.gethostname(),
            "@@VICTIM_PID@@": str(victim),
            "@@VICTIM_ADDR@@": self._victim_address,
            "@@OVER_MB@@": str(OVER_MB),
            "@@WALL@@": f"{self._wall_s:g}",
        }

    async def renew(self) -> None:
        """What one snippet moved, deleted or killed is there again for the next."""
        self.canary.hits = 0
        shutil.rmtree(self._open, ignore_errors=True)
        self._open.mkdir(exist_ok=True)
        (self._open / "mnt").mkdir(exist_ok=True)
        for name in _MOVABLES:
            (self._open / name).write_text("data")
        for path in (self._open, *self._open.iterdir()):
            path.chmod(0o777 if path.is_dir() else 0o666)
            if os.getuid() == 0:
                os.chown(path, self._user, self._user)
        if self.victim is None or self.victim.returncode is not None:
            await self._start_victim()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        loop = asyncio.get_running_loop()
        tcp = [_bound(host, 0) for host in ("0.0.0.0",)]  # noqa: S104  own network namespace
        self._ports["tcp"] = tcp[0].getsockname()[1]
        tcp += [_bound("::", self._ports["tcp"])]
        tcp += [one for host in ("0.0.0.0", "::") if (one := _bound_if_free(host, 80))]  # noqa: S104
        streams = [await asyncio.start_server(self.canary.serve, sock=one) for one in tcp]
        streams.append(await asyncio.start_unix_server(self.canary.serve, self._unix))
        self._unix.chmod(0o777)
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0{self._abstract}")
        streams.append(await asyncio.start_unix_server(self.canary.serve, sock=abstract))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._ports["udp"] = udp.getsockname()[1]
        datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagram.bind(f"\0{self._abstract}-dgram")
        endpoints: list[asyncio.DatagramTransport] = []
        for one in (udp, datagram):
            one.setblocking(False)
            transport, _ = await loop.create_datagram_endpoint(self.canary.datagrams, sock=one)
            endpoints.append(transport)
        async with serving(self.web):
            try:
                yield
            finally:
                for server in streams:
                    server.close()
                for transport in endpoints:
                    transport.close()
                if self.victim is not None and self.victim.returncode is None:
                    self.victim.kill()
                    await self.victim.wait()

    async def victim_is_dead(self) -> bool:
        assert self.victim is not None
        try:
            async with asyncio.timeout(0.2):
                await self.victim.wait()
        except TimeoutError:
            return False
        return True

    async def _start_victim(self) -> None:
        user = self._user if os.getuid() == 0 else None
        self.victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _VICTIM, self.tokens.victim),
            stdout=asyncio.subprocess.PIPE,
            user=user,
            group=user,
        )
        assert self.victim.stdout is not None
        self._victim_address = (await self.victim.stdout.readline()).decode().strip()


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ":" in host:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((host, port))
    return listener


def _bound_if_free(host: str, port: int) -> socket.socket | None:
    try:
        return _bound(host, port)
    except OSError:
        return None


def _token(name: str) -> str:
    return f"cnry_{name}_{secrets.token_hex(8)}"
