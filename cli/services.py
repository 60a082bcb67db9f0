"""The processes of an instance: how each is started, what it is given, when it is ready."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli import probes
from cli.configuration import sandbox_variables
from cli.instance import Instance
from cli.ports import NeededPort
from cli.postgres import EmbeddedPostgres
from cli.runner import Launch, Service
from cli.state import ServiceState, ServiceStatus
from cli.temporal import EmbeddedTemporal

NAMES = ("postgres", "temporal", "worker", "sandbox", "gateway", "admin")
PREPARED = "prepared"
"""The step between the databases and what uses them: migrations and first accounts."""

# The sandbox runs other people's code, and the databases need nothing of ours: none of them sees
# the keys, the database's address or whatever else the person who started us has exported.
_PASSED_TO_ALL = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def services_of(instance: Instance) -> list[Service]:
    """What ``mcpbox up`` starts, after :meth:`Instance.create_secrets`."""
    needed: list[Service] = []
    bare = bare_environment()
    if instance.embeds_postgres:
        postgres = EmbeddedPostgres(instance, bare)
        needed.append(
            Service(
                "postgres",
                launch=postgres.launch,
                ready=lambda _pid: probes.postgres_answers(postgres.socket_file),
                stop_signal=signal.SIGINT,  # "fast": ends connections, closes cleanly
            )
        )
    if instance.embeds_temporal:
        temporal = EmbeddedTemporal(instance, bare)
        needed.append(Service("temporal", launch=temporal.launch, ready=temporal.ready))
    needed.append(_worker(instance))
    if instance.embeds_sandbox:
        needed.append(_sandbox(instance))
    settings = instance.settings
    for name, port in (("gateway", settings.gateway_port), ("admin", settings.admin_port)):
        needed.append(_face(instance, name, port))
    return needed


def databases_of(instance: Instance) -> tuple[str, ...]:
    """Which of the services the step :data:`PREPARED` comes after."""
    embedded = {"postgres": instance.embeds_postgres, "temporal": instance.embeds_temporal}
    return tuple(name for name, is_embedded in embedded.items() if is_embedded)


def statuses_of(instance: Instance, running: Sequence[ServiceStatus] = ()) -> list[ServiceStatus]:
    """One for each of :data:`NAMES`: as it runs, external, or stopped."""
    known = {status.name: status for status in running}
    external = {
        "postgres": not instance.embeds_postgres,
        "temporal": not instance.embeds_temporal,
        "sandbox": not instance.embeds_sandbox,
    }
    return [
        known.get(name)
        or ServiceStatus(
            name=name,
            state=ServiceState.EXTERNAL if external.get(name) else ServiceState.STOPPED,
        )
        for name in NAMES
    ]


def ports_of(instance: Instance) -> list[NeededPort]:
    settings = instance.settings
    host = settings.bind_host
    needed = [
        NeededPort(host, settings.gateway_port, "MCPBOX_GATEWAY_PORT", "the gateway"),
        NeededPort(host, settings.admin_port, "MCPBOX_ADMIN_PORT", "the panel and the API"),
    ]
    if instance.embeds_temporal:
        needed += [
            NeededPort("127.0.0.1", settings.temporal_port, "MCPBOX_TEMPORAL_PORT", "Temporal"),
            NeededPort(
                "127.0.0.1",
                settings.temporal_ui_port,
                "MCPBOX_TEMPORAL_UI_PORT",
                "Temporal's Web UI",
            ),
        ]
    return needed


def full_environment(instance: Instance) -> dict[str, str]:
    """For processes of ours: everything, but what only the preparation needs."""
    environment = {**os.environ, **instance.environment()}
    for name in ("MCPBOX_ADMIN_PASSWORD", "MCPBOX_OWNER_DATABASE_URL"):
        environment.pop(name, None)
    return environment


def bare_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_TO_ALL if name in os.environ}


def _worker(instance: Instance) -> Service:
    ready_file = instance.worker_ready_file

    async def launch() -> Launch:
        ready_file.unlink(missing_ok=True)
        env = {**full_environment(instance), "MCPBOX_READY_FILE": str(ready_file)}
        return own_process("worker", env)

    async def ready(pid: int) -> bool:
        return probes.names_its_pid(ready_file, pid)

    return Service("worker", launch=launch, ready=ready, after=(PREPARED,))


def _sandbox(instance: Instance) -> Service:
    socket_file = instance.sandbox_socket
    own = sandbox_variables()
    own.pop("MCPBOX_SANDBOX_BIND", None)  # it listens on the socket
    trusted = (instance.receipt_key(), own.get("MCPBOX_SANDBOX_RECEIPT_KEYS", ""))
    env = {
        **bare_environment(),
        "MCPBOX_SANDBOX_DATA_DIR": str(instance.data_dir / "sandbox"),
        **own,
        "MCPBOX_LOG_LEVEL": instance.settings.log_level,
        "MCPBOX_SANDBOX_SOCKET": str(socket_file),
        "MCPBOX_SANDBOX_API_KEY": instance.sandbox_api_key().get_secret_value(),
        "MCPBOX_SANDBOX_RECEIPT_KEYS": ",".join(filter(None, trusted)),
    }

    async def launch() -> Launch:
        socket_file.unlink(missing_ok=True)
        # Not the directory that the user stands in: it may hold a .env with every secret.
        return own_process("sandbox", env, cwd=Path("/"))

    async def ready(_pid: int) -> bool:
        return await probes.unix_http_answers(socket_file, "/health")

    return Service("sandbox", launch=launch, ready=ready)


def _face(instance: Instance, name: str, port: int) -> Service:
    async def launch() -> Launch:
        return own_process(name, full_environment(instance))

    async def ready(_pid: int) -> bool:
        return await probes.http_answers(instance.reachable_host, port, "/health")

    return Service(name, launch=launch, ready=ready, after=(PREPARED,))


def own_process(name: str, env: Mapping[str, str], cwd: Path | None = None) -> Launch:
    # -P: a folder named like one of our packages, where the user stands, is not imported.
    return Launch((sys.executable, "-P", "-m", "cli.run", name), env, cwd)
