"""The service believes nothing that a child says: any frames end in a verdict, never in a failure.

The child is a socket of the test's own; all that is around it is real.
"""

import asyncio
import json
import signal
import socket
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.channel import BODY_START
from sandbox.child import Child
from sandbox.contract import ErrorKind, RunResult
from sandbox.control import Exited
from sandbox.frames import HEADER, Frame, Kind, Unpacker
from sandbox.job import Job
from sandbox.pool import Pool
from tests.integration.sandbox.pools import Bench

PLENTY = settings(max_examples=80, deadline=None, database=None)
PATIENCE_S = 20
SMALL = 10

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\x00", "\ud800", "raised", "crashed", "http://127.0.0.1:1/", "GET"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


def request(head: bytes, stated: int | None, body: bytes) -> bytes:
    return BODY_START.pack(len(head) if stated is None else stated) + head + body


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


reports = st.one_of(
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {},
        optional={
            "ok": st.booleans() | json_values,
            "result": json_values,
            "error": json_values
            | st.fixed_dictionaries(
                {"kind": st.sampled_from(ErrorKind) | json_values, "message": json_values},
                optional={"line": json_values},
            ),
        },
    ).map(as_json),
    st.sampled_from(
        [b'{"ok": true, "result": 1e999}', b"[" * 5000, b'{"ok": true, "result": NaN}']
    ),
)
heads = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "POST", "\ud800", "get\r\n"]) | json_values,
        "url": st.sampled_from(["http://localhost/", "http://[::1", "//x", "https://é.test/"])
        | json_values,
        "headers": st.lists(st.lists(st.text(max_size=5), max_size=3), max_size=3) | json_values,
        "timeout_s": json_values,
    },
).map(as_json)
requests = st.binary(max_size=40) | st.builds(
    request,
    heads,
    st.none() | st.integers(0, 2**32 - 1),
    st.binary(max_size=10),
)


class Said(NamedTuple):
    kind: int
    stream: int
    """Of its own call where it is small."""
    payload: bytes

    def wire(self, call: int) -> bytes:
        stream = call + self.stream if self.stream < SMALL else self.stream
        return HEADER.pack(len(self.payload), self.kind, stream) + self.payload


said = st.builds(
    Said,
    st.sampled_from([int(kind) for kind in Kind]) | st.integers(0, 255),
    st.integers(0, 3) | st.integers(0, 2**32 - 1),
    reports | requests,
)
hostile_headers = st.builds(
    HEADER.pack, st.integers(0, 2**32 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1)
)


class Mortal(Child):
    """Dies when it is killed, as a process would: its end of the connection closes."""

    def __init__(self, own_end: socket.socket, other_end: socket.socket) -> None:
        super().__init__(own_end)
        self._other_end = other_end

    def kill(self) -> None:
        if self.usable:
            self._other_end.shutdown(socket.SHUT_RDWR)
            self.ended(Exited(1, signal.SIGKILL, 0.0))


class OneChild(Pool):
    current: Child

    async def begin(self, *, speaks: bool = False) -> Child:
        del speaks
        return self.current

    def end(self, child: Child) -> None:
        """It serves the next job too."""


@pytest.fixture(scope="module")
def pool() -> OneChild:
    return OneChild()


@pytest.fixture(scope="module")
def service(pool: OneChild) -> Bench:
    return Bench(pool)


@contextmanager
def nothing_goes_unhandled() -> Generator[None]:
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    try:
        yield
    finally:
        loop.set_exception_handler(None)
    assert unhandled == []


class HostileChild:
    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unpacker = Unpacker()
        self._heard: deque[Frame] = deque()

    async def hear(self) -> Frame:
        while not self._heard:
            data = await asyncio.get_running_loop().sock_recv(self._end, 65536)
            assert data, "the connection was closed"
            self._heard.extend(self._unpacker.feed(data))
        return self._heard.popleft()

    async def say(self, wire: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._end, wire)


@asynccontextmanager
async def call_of_a_child(
    pool: OneChild, service: Bench
) -> AsyncGenerator[tuple[HostileChild, int, asyncio.Task[RunResult]]]:
    """The child, the number of its call, and what the caller gets."""
    own_end, other_end = socket.socketpair()
    other_end.setblocking(False)
    pool.current = Mortal(own_end, other_end)
    hostile = HostileChild(other_end)
    with other_end, nothing_goes_unhandled():
        async with asyncio.timeout(PATIENCE_S):
            answer = asyncio.create_task(service.run("", wall_s=600))
            job = await hostile.hear()
            assert job.kind == Kind.JOB
            yield hostile, Job.from_bytes(job.payload).call, answer
        pool.current.close()


@PLENTY
@given(st.lists(said, max_size=6), st.just(b"") | hostile_headers)
async def test_any_frames_end_in_a_verdict_that_can_be_sent_on(
    pool: OneChild, service: Bench, frames: list[Said], rest: bytes
) -> None:
    async with call_of_a_child(pool, service) as (child, call, answer):
        await child.say(b"".join(frame.wire(call) for frame in frames) + rest)
        pool.current.kill()
        result = await answer

    assert RunResult.model_validate_json(result.model_dump_json()).ok == result.ok
    assert result.ok == (result.error is None)


@PLENTY
@given(reports)
async def test_any_report_ends_in_a_verdict_that_can_be_sent_on(
    pool: OneChild, service: Bench, report: bytes
) -> None:
    async with call_of_a_child(pool, service) as (child, call, answer):
        await child.say(Said(Kind.RESULT, 0, report).wire(call))
        result = await answer

    assert RunResult.model_validate_json(result.model_dump_json()).ok == result.ok
    assert result.ok == (result.error is None)


@PLENTY
@given(st.lists(requests, min_size=1, max_size=6))
async def test_every_request_gets_one_answer_whatever_it_is(
    pool: OneChild, service: Bench, payloads: list[bytes]
) -> None:
    async with call_of_a_child(pool, service) as (child, call, answer):
        asked = [Said(Kind.REQUEST, n, payload) for n, payload in enumerate(payloads, 1)]
        await child.say(b"".join(one.wire(call) for one in asked))
        heard = [await child.hear() for _ in asked]
        await child.say(Said(Kind.RESULT, 0, b'{"ok": true, "result": 1}').wire(call))
        result = await answer

    assert sorted(frame.stream - call for frame in heard) == [one.stream for one in asked]
    assert {frame.kind for frame in heard} == {Kind.FAILURE}
    assert len(result.egress) == len(payloads)
    assert all(record.refused for record in result.egress)
    assert RunResult.model_validate_json(result.model_dump_json()) == result
