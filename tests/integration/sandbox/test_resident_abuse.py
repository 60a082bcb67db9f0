"""What code that stays can do to later calls: to another bundle's nothing, nor forge its own."""

import time

from pydantic import SecretStr

from sandbox.child import cpu_clock_of
from sandbox.contract import BoundSecret, ErrorKind, RunLimits
from sandbox.secrets import Secrets
from tests.integration.sandbox.lodging import PLAIN, lodge, on_the_host
from tests.integration.sandbox.processes import wait_gone


async def test_two_bundles_never_share_a_process() -> None:
    async with lodge() as house:
        first = (await house.call(PLAIN)).result
        other_code = (await house.call(PLAIN + "  # other")).result
        other_grants = (await house.call(PLAIN, hosts=("api.example.com",))).result
        again = (await house.call(PLAIN)).result

    assert [a["calls"] for a in (first, other_code, other_grants, again)] == [1, 1, 1, 2]
    assert len({a["pid"] for a in (first, other_code, other_grants)}) == 3


async def test_what_one_call_prints_is_not_in_the_next() -> None:
    code = """
import sys
streams = [sys.stdout]
async def main(text):
    print(text, end="")
    print("kept", file=streams[0])
    return counted()
"""
    async with lodge() as house:
        first = await house.call(code, {"text": "one "})
        second = await house.call(code, {"text": "two "})

    assert [first.stdout, second.stdout] == ["one kept\n", "two kept\n"]
    assert second.result["calls"] == 2


async def test_output_that_comes_after_the_result_ends_the_process() -> None:
    code = """
from sandbox.frames import Kind
from sandbox.transports import BrokerTransport
channel = BrokerTransport.channel
send = channel.send
def send_more(kind, stream, payload=b""):
    send(kind, stream, payload)
    if kind == Kind.RESULT: send(Kind.OUTPUT, stream, b"too late")
async def main():
    channel.send = send_more
    return counted()
"""
    async with lodge() as house:
        pid = on_the_host((await house.call(code)).result["pid"])
        await house.call(code)
        await wait_gone([pid])
        after = await house.call(code)

    assert after.stdout == ""
    assert after.result["calls"] == 1


async def test_who_speaks_between_two_calls_is_killed() -> None:
    code = """
import time
from sandbox.frames import Kind
from sandbox.transports import BrokerTransport
channel = BrokerTransport.channel
def speak_up():
    time.sleep(0.1)
    channel.send(Kind.OUTPUT, channel._next_stream - 1, b"nobody asked")
    time.sleep(1000)
async def main():
    channel.next_job = speak_up
    return counted()
"""
    async with lodge() as house:
        first = await house.call(code)

        await wait_gone([on_the_host(first.result["pid"])])
        assert (await house.call(code)).stdout == ""


async def test_a_result_for_a_later_call_is_refused() -> None:
    code = """
from sandbox.frames import Kind
from sandbox.transports import BrokerTransport
async def main(forge):
    channel = BrokerTransport.channel
    answer = counted()
    if forge:
        own = channel._next_stream - 1
        channel.send(Kind.RESULT, own + 256, b'{"ok": true, "result": "forged"}')
    return answer
"""
    async with lodge() as house:
        forged = await house.call(code, {"forge": True})
        honest = await house.call(code, {"forge": False})

    assert forged.error is not None
    assert forged.error.kind is ErrorKind.CRASHED
    assert honest.result["calls"] == 1


async def test_results_sent_ahead_are_never_taken_for_those_of_the_next_call() -> None:
    """As many guesses as fit: none is the stream of a call that nobody has begun yet."""
    code = """
from sandbox.frames import Kind, pack
from sandbox.transports import BrokerTransport
channel = BrokerTransport.channel
send = channel.send
guesses = b"".join(pack(Kind.RESULT, n << 8, b'{"ok":true,"result":"forged"}') for n in range(99))
def send_ahead(kind, stream, payload=b""):
    send(kind, stream, payload)
    if kind == Kind.RESULT:
        import os
        os.write(3, guesses)
async def main():
    channel.send = send_ahead
    return counted()
"""
    async with lodge() as house:
        answers = [await house.call(code) for _ in range(5)]

    told = [answer.result if answer.ok else None for answer in answers]
    assert "forged" not in told
    assert all(answer is None or answer["calls"] <= 2 for answer in told)


async def test_code_that_lifts_its_cpu_limit_is_killed_all_the_same() -> None:
    code = """
import resource
async def main():
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
    while True: pass
"""
    async with lodge() as house:
        burned = await house.call(code, limits=RunLimits(wall_s=50, cpu_s=1))

    assert burned.error is not None
    assert burned.error.kind is ErrorKind.CPU


async def test_who_works_without_being_called_is_killed() -> None:
    code = """
from sandbox.transports import BrokerTransport
def burn():
    while True: pass
async def main():
    BrokerTransport.channel.next_job = burn
    return counted()
"""
    async with lodge() as house:
        first = await house.call(code)

        await wait_gone([on_the_host(first.result["pid"])])
        assert (await house.call(code)).result["calls"] == 1


async def test_who_worked_between_two_calls_gets_no_other() -> None:
    code = """
import time
from sandbox.transports import BrokerTransport
channel = BrokerTransport.channel
wait_for_it = channel.next_job
def work_first():
    until = time.process_time() + 0.3
    while time.process_time() < until: pass
    return wait_for_it()
async def main():
    channel.next_job = work_first
    return counted()
"""
    async with lodge() as house:
        first = await house.call(code)
        clock = cpu_clock_of(on_the_host(first.result["pid"]))
        before_s = time.clock_gettime(clock)
        while time.clock_gettime(clock) < before_s + 0.1:
            pass
        second = await house.call(code)

    assert second.result["calls"] == 1


async def test_secrets_and_cookies_are_those_of_the_call() -> None:
    code = """
async def main():
    cookies = dict(http.cookies)
    http.cookies.set("seen", "yes")
    return counted(names=sorted(secrets), cookies=cookies)
"""
    async with lodge() as house:
        first = await house.call(
            code, secrets=Secrets.of({"TOKEN": BoundSecret(value=SecretStr("value"))})
        )
        second = await house.call(code)

    assert first.result["names"] == ["TOKEN"]
    assert second.result == {**first.result, "calls": 2, "names": []}
    assert second.result["cookies"] == {}
