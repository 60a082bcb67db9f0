"""``mcpbox`` with real databases and supervision, and stand-ins for the processes above them."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from logging import Logger
from pathlib import Path

import cli.main
import cli.services
import cli.up
from cli.preparation import Made
from cli.runner import Launch

_STAND_IN = Path(__file__).with_name("stand_in.py")


def own_process(name: str, env: Mapping[str, str], cwd: Path | None = None) -> Launch:
    return Launch((sys.executable, str(_STAND_IN), name), env, cwd)


async def prepare(
    env: Mapping[str, str], wait_for_databases: Callable[[], Awaitable[None]], log: Logger
) -> Made:
    await wait_for_databases()
    log.info("databases are there", extra={"service": "prepare"})
    return Made(admin_password=f"made-with-{len(env)}", client_token="token-of-a-client")


def main() -> None:
    cli.services.own_process = own_process
    cli.up.prepare = prepare
    cli.up.BACKGROUND_COMMAND = (sys.executable, "-m", __spec__.name, "up")
    cli.main.main()


if __name__ == "__main__":
    main()
