"""Tools that are in the middle of their work, and requests as the service is sent them."""

import json
from typing import Any

from sandbox.contract import API_KEY_HEADER, Bundle
from tests.integration.sandbox.running import API_KEY
from tests.integration.sandbox.web import Web
from tests.receipts import released

ONE = "async def main():\n    return 1\n"
HOLD = """
async def main(url):
    print("begun")
    await http.get(url, timeout=60)
    print("released")
    return "done"
"""


def run_of(code: str, *, hosts: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """What is posted to ``/runs``."""
    bundle = released(Bundle(code=code, hosts=hosts))
    return {"bundle_key": bundle.key, "bundle": bundle.model_dump(mode="json"), **more}


def held_run(web: Web, **more: Any) -> dict[str, Any]:
    """Runs until ``web`` is released."""
    origin = f"localhost:{web.port}"
    return run_of(HOLD, hosts=(origin,), arguments={"url": f"http://{origin}/hold"}, **more)


def settings_for(web: Web, **more: str) -> dict[str, str]:
    return {"PRIVATE_HOSTS": f"localhost:{web.port}", **more}


def request(
    method: str, path: str, body: bytes | dict[str, Any] = b"", *, key: str = API_KEY, **more: str
) -> bytes:
    """As bytes on the wire; ``more`` headers with ``_`` for ``-``."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "host": "sandbox",
        API_KEY_HEADER: key,
        "content-length": str(len(content)),
        "connection": "close",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {v}" for name, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content
