"""A server that does not come back, without a sandbox that has to break first."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from pydantic import SecretStr
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.recovery import RestoredServers
from activities.worker import build_worker
from cli.instance import Instance
from mcpbox.domain.ids import ServerId
from mcpbox.domain.recovery import recovery_workflow_id
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.session import make_sessions
from mcpbox.temporal import connect
from tests.instances import Installed
from workflows.recovery import RECOVER_ONE, FoundServer, RestoreServer

PROBLEM = "its sandbox has lost what it needs."


class StuckServers(RestoredServers):
    """Everything but the restoring itself is real."""

    mended = False

    @activity.defn
    async def restore_server(self, given: RestoreServer) -> None:
        if not self.mended:
            raise ApplicationError(f"{given.name}: {PROBLEM}", non_retryable=True)


@asynccontextmanager
async def stuck(instance: Installed, server_id: str, name: str) -> AsyncGenerator[StuckServers]:
    """The recovery of this server, in the hands of a worker of the test's own."""
    client = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    sessions = make_sessions(instance.database_url)
    sandbox = SandboxClient(url="http://never-asked", api_key=SecretStr(""))
    servers, queue = StuckServers(sessions, sandbox), f"stuck-{uuid4().hex}"
    async with build_worker(client, [servers], task_queue=queue):
        recovery = await client.start_workflow(
            RECOVER_ONE,
            FoundServer(server_id=ServerId(UUID(server_id)), name=name),
            id=recovery_workflow_id(ServerId(UUID(server_id))),
            task_queue=queue,
        )
        yield servers
        await recovery.result()
    await sandbox.aclose()
    await sessions.kw["bind"].dispose()
