"""A name server for A and AAAA questions, over UDP."""

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import Mapping
from typing import cast

_HEADER = struct.Struct(">6H")
_ANSWERS = 0x8180
_UNKNOWN = 0x8183
_POINTER_TO_QUESTION = 0xC00C


class NameServer(asyncio.DatagramProtocol):
    """``names``: for each, one answer a time it is asked; the last one stays."""

    def __init__(self, names: Mapping[str, list[list[str]]]) -> None:
        self.asked: Counter[str] = Counter()
        """How often each name was asked for its IPv4 addresses."""
        self._names = names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        number, _, _, _, _, _ = _HEADER.unpack_from(data)
        labels: list[str] = []
        position = _HEADER.size
        while length := data[position]:
            labels.append(data[position + 1 : position + 1 + length].decode())
            position += 1 + length
        question = data[_HEADER.size : position + 5]
        (kind,) = struct.unpack_from(">H", data, position + 1)
        found = self._answer(".".join(labels).lower(), kind)
        if found is None:
            head = _HEADER.pack(number, _UNKNOWN, 1, 0, 0, 0)
            self._transport.sendto(head + question, addr)
            return
        records = b"".join(
            struct.pack(">3HLH", _POINTER_TO_QUESTION, kind, 1, 0, len(raw)) + raw for raw in found
        )
        head = _HEADER.pack(number, _ANSWERS, 1, len(found), 0, 0)
        self._transport.sendto(head + question + records, addr)

    def _answer(self, name: str, kind: int) -> list[bytes] | None:
        if name not in self._names:
            return None
        version = {1: 4, 28: 6}.get(kind)
        answers = self._names[name]
        if version == 4:
            self.asked[name] += 1
        turn = min(max(self.asked[name], 1), len(answers)) - 1
        addresses = map(ipaddress.ip_address, answers[turn])
        return [address.packed for address in addresses if address.version == version]
