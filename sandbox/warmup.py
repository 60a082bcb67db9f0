"""A dummy tool, run before the real one: it fills caches, and touches what a call will touch."""

import marshal
import socket
from collections.abc import Callable

import httpx

from sandbox.channel import Channel
from sandbox.frames import Kind, pack
from sandbox.job import Job

_CODE = """
import asyncio, datetime, json, re
class Pair:
    def __init__(self, left): self.left = left
async def main(left=1, **rest):
    await asyncio.sleep(0)
    print("warm")
    answer = await http.get("http://warm.invalid/x", params={"a": 1}, headers={"X": "y"})
    squares = [i * i for i in range(10)]
    return {"left": Pair(left).left, "squares": squares, "answer": answer.json(), "f": f"{left:>5}"}
"""
# As most jobs come: what compiling touches is then left alone.
_JOB = Job(
    compiled=marshal.dumps(compile(_CODE, "<warm-up>", "exec", dont_inherit=True)),
    arguments={"left": 2},
)


class _Transport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        body = httpx.ByteStream(b'{"k": [1]}')
        return httpx.Response(200, headers={"content-type": "application/json"}, stream=body)


def warm_up(serve: Callable[[Job, Channel, httpx.AsyncClient], bytes]) -> None:
    """``serve`` makes the report of a job; nothing of the dummy survives in the process."""
    client = httpx.AsyncClient(transport=_Transport(), trust_env=False)
    own_end, other_end = socket.socketpair()
    with own_end, other_end:
        channel = Channel(own_end.fileno())
        other_end.sendall(pack(Kind.JOB, 0, _JOB.to_bytes()))
        job = Job.from_bytes(channel.next_job())
        report = serve(job, channel, client)
        channel.send(Kind.RESULT, 0, report)
    if not report.startswith(b'{"ok": true'):
        raise RuntimeError(f"the warm-up tool failed: {report.decode()}")
