"""The process under attack: the sandbox's parts as the service has them, without its HTTP face.

The guard can be left out here, which no caller of the service can. One JSON request a line comes
in, one JSON answer a line goes out; its end, or a wrong answer, is a death of the service.
"""

import asyncio
import json
import os
import sys
import threading
from typing import Any

from pydantic import SecretStr

from sandbox.contract import BoundSecret, ErrorKind, RunError, RunResult
from sandbox.hosts import HostGrants
from sandbox.lockdown import privileges
from sandbox.pinned import resolve
from sandbox.probe import measure
from sandbox.secrets import Secrets
from tests.integration.sandbox.pools import Anywhere, Bench, bench, private

_ANOTHER = "async def main():\n    return len(secrets['API_KEY'])\n"
_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "internal.test": (("127.0.0.1",),),
    "rebind.test": (("93.184.216.34",), ("127.0.0.1",)),
    "mixed.test": (("93.184.216.34", "127.0.0.1"),),
    "approved.test": (("127.0.0.1",),),
    "approved.test.evil.test": (("127.0.0.1",),),
    "evilapproved.test": (("127.0.0.1",),),
}
"""What they resolve to: at first, then ever after."""


class _Names:
    def __init__(self) -> None:
        self._asked: dict[str, int] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        answers = _NAMES.get(host)
        if answers is None:
            return await resolve(host, port)
        asked = self._asked.get(host, 0)
        self._asked[host] = asked + 1
        return list(answers[min(asked, len(answers) - 1)])


async def main() -> None:
    given = json.loads(sys.argv[1])
    privileges.hide_from_same_user()
    async with bench(without=frozenset(given["without"]), resolver=_Names().resolve) as host:
        isolation = await measure(host.runner, host.pool.zygote)
        await _serve_another(host, given["secret"])
        _say({"level": isolation.level, "layers": {x.name: x.active for x in isolation.layers}})
        running: set[asyncio.Task[None]] = set()
        lines = _lines()
        while line := await lines.get():
            task = asyncio.create_task(_serve(host, json.loads(line), given))
            running.add(task)
            task.add_done_callback(running.discard)


async def _serve_another(host: Bench, secret: str) -> None:
    """Another server's call, whose secret nobody may find later."""
    secrets = Secrets.of({"API_KEY": BoundSecret(value=SecretStr(secret))})
    result = await host.run(_ANOTHER, secrets=secrets)
    assert result.result == len(secret)


def _lines() -> asyncio.Queue[str]:
    """Standard input, ended by an empty line."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        while True:
            line = sys.stdin.readline()
            loop.call_soon_threadsafe(lines.put_nowait, line)
            if not line:
                return

    threading.Thread(target=read, daemon=True).start()
    return lines


async def _serve(host: Bench, asked: dict[str, Any], given: dict[str, Any]) -> None:
    result = await _run(host, asked, given)
    _say({"id": asked["id"], "result": result.model_dump(mode="json")})


async def _run(host: Bench, asked: dict[str, Any], given: dict[str, Any]) -> RunResult:
    if asked["guarded"] and await host.is_rejected(asked["code"]):
        return RunResult(ok=False, error=RunError(kind=ErrorKind.REJECTED, message="rejected"))
    return await host.run(
        asked["code"],
        asked["arguments"],
        guarded=asked["guarded"],
        grants=_grants(asked["server"], given),
        wall_s=asked["wall_s"],
    )


def _grants(server: str, given: dict[str, Any]) -> HostGrants:
    if server == "wild":
        return Anywhere(())
    test = ("approved.test", f"approved.test:{given['port']}")
    return private(given["allowed"], *test)


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # the thread may still wait for a line
