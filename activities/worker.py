"""The worker process: the wiring of workflows and activities."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from uvicorn.loops.auto import auto_loop_factory

from activities.applying import Appliers
from activities.audit import AnchoredAudit, ensure_anchor_schedule
from activities.decisions import StoredDecisions
from activities.evidence import GatheredEvidence, Replay
from activities.external_sources import SourceLooks
from activities.grants import TimedGrants
from activities.hosts import GrantedHosts
from activities.modules import GrantedModules, PackageSources
from activities.notices import SentNotices
from activities.probation import StoredProbations
from activities.probation_watch import ProbationWatch
from activities.publish import ReleasedVersions
from activities.reconciliation import ReconciledRequests
from activities.recovery import RestoredServers
from activities.requests import Examiners, StoredRequests
from activities.retention import Retention, ensure_retention
from activities.rounds import StoredRounds
from activities.schedules import ensure_schedules
from activities.secrets import BoundSecrets
from activities.source_listing import SourceListing
from mcpbox import logs, tracing
from mcpbox.anchors import AnchorExport, AnchorSigner
from mcpbox.domain.subjects import Kind
from mcpbox.receipts import ReceiptSigner
from mcpbox.sandbox_client import SandboxClient
from mcpbox.sending import Sender
from mcpbox.settings import Settings
from mcpbox.store.modules import StoredModuleSets
from mcpbox.store.session import Sessions, make_sessions
from mcpbox.temporal import SEARCH_ATTRIBUTES, TASK_QUEUE, connect_patiently, settle
from mcpbox.upstream.reader import Reader
from mcpbox.usecases.audit import Audit
from mcpbox.usecases.notices import TargetSeals
from mcpbox.vault import Vault
from mcpbox.vouchers import Vouchers
from workflows.audit import AnchorAuditWorkflow
from workflows.change_request import ChangeRequestWorkflow
from workflows.external_sources import CheckSourcesWorkflow, CheckSourceWorkflow
from workflows.grant_end import GrantEndWorkflow
from workflows.interceptor import OneSignalArgument
from workflows.notices import DeliverNoticeWorkflow, SendNoticesWorkflow
from workflows.probation import ProbationWorkflow
from workflows.reconciliation import ReconcileRequestsWorkflow
from workflows.recovery import (
    RecoverServersWorkflow,
    RecoverServerWorkflow,
    WatchSandboxWorkflow,
)
from workflows.retention import RetainLogs

_PATIENCE = timedelta(seconds=60)
_STICKY_TIMEOUT = timedelta(seconds=2)
"""How long a workflow task waits for a worker that died, before another one may take it."""
_GRACE = timedelta(seconds=8)
log = structlog.get_logger()


def main() -> None:
    settings = Settings()
    logs.configure("worker", settings.log_level)
    tracing.configure("worker")
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # uvloop, if installed
        runner.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT; then finishes what it has begun.

    Raises: Invalid: a setting is missing; Unavailable: Temporal does not come up.
    """
    sources = PackageSources.of(settings)
    signer = ReceiptSigner(settings.required_encryption_key)
    sessions = make_sessions(settings.required_database_url)
    sandbox = SandboxClient.of(settings, StoredModuleSets(sessions))
    try:
        client = await connect_patiently(
            settings.temporal_target,
            settings.temporal_namespace,
            settings.temporal_keys,
            patience=_PATIENCE,
        )
        await ensure_search_attributes(client)
        await ensure_retention(client)
        await ensure_anchor_schedule(client, TASK_QUEUE)
        await ensure_schedules(client, task_queue=TASK_QUEUE)
        key = settings.required_encryption_key
        vault = Vault(settings.required_secrets_key)
        listing = SourceListing(sessions, vault, sandbox, Reader())
        activities = [
            *activities_on(
                sessions,
                sandbox,
                signer,
                sources,
                Vouchers(settings.temporal_keys),
                Replay.of(settings),
            ),
            AnchoredAudit(Audit(sessions, AnchorSigner(key)), AnchorExport.of(settings)),
            SentNotices(sessions, TargetSeals(key), Sender.of(settings)),
            SourceLooks(sessions, listing.list_tools),
        ]
        watch = ProbationWatch(settings.required_database_url, sessions, client)
        async with build_worker(client, activities), asyncio.TaskGroup() as beside:
            watching = beside.create_task(watch.run())
            log.info("worker.started", task_queue=TASK_QUEUE)
            if settings.ready_file is not None:
                await asyncio.to_thread(_announce_ready, settings.ready_file)
            await _stopped()
            watching.cancel()
    finally:
        await sandbox.aclose()
        await settle()
        await tracing.close()


def activities_on(
    sessions: Sessions,
    sandbox: SandboxClient,
    signer: ReceiptSigner,
    sources: PackageSources,
    vouchers: Vouchers,
    replay: Replay | None = None,
) -> list[object]:
    released = ReleasedVersions(sessions, signer, sandbox)
    hosts, secrets = GrantedHosts(sessions, signer), BoundSecrets(sessions)
    appliers: Appliers = {
        Kind.PUBLISH: released.publish,
        Kind.ROLLBACK: released.roll_back,
        Kind.RESTORE: released.restore,
        Kind.HOST_GRANT: hosts.apply,
        Kind.SECRET_BINDING: secrets.apply,
    }
    examiners: Examiners = {Kind.HOST_GRANT: hosts.examine, Kind.SECRET_BINDING: secrets.examine}
    return [
        StoredRequests(sessions, examiners),
        StoredRounds(sessions),
        StoredDecisions(sessions, vouchers, appliers),
        ReconciledRequests(sessions),
        RestoredServers(sessions, sandbox),
        GatheredEvidence(sessions, sandbox, replay),
        StoredProbations(sessions),
        released,
        GrantedModules(sessions, sandbox, signer, sources),
        hosts,
        TimedGrants(sessions, signer),
        Retention(sessions),
        secrets,
    ]


async def _stopped() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def build_worker(
    client: Client, activities: Sequence[object], *, task_queue: str = TASK_QUEUE
) -> Worker:
    """``activities``: objects whose methods implement :mod:`workflows.contracts`."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[
            ChangeRequestWorkflow,
            GrantEndWorkflow,
            ProbationWorkflow,
            AnchorAuditWorkflow,
            RetainLogs,
            ReconcileRequestsWorkflow,
            WatchSandboxWorkflow,
            RecoverServersWorkflow,
            RecoverServerWorkflow,
            SendNoticesWorkflow,
            DeliverNoticeWorkflow,
            CheckSourceWorkflow,
            CheckSourcesWorkflow,
        ],
        activities=[
            method
            for implementation in activities
            for name in dir(implementation)
            if hasattr(method := getattr(implementation, name), "__temporal_activity_definition")
        ],
        interceptors=[OneSignalArgument()],
        # Ours are pure by import-linter's contract. The SDK's sandbox would have to let our own
        # modules pass, so it would see nothing of what they do; it costs a fifth of the CPU.
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=_STICKY_TIMEOUT,
        graceful_shutdown_timeout=_GRACE,
    )


async def ensure_search_attributes(client: Client) -> None:
    """Register the missing ones; safe at every start."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {
        key.name: IndexedValueType.ValueType(int(key.indexed_value_type))
        for key in SEARCH_ATTRIBUTES
        if key.name not in known.custom_attributes
    }
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )


def _announce_ready(path: Path) -> None:
    path.write_text(str(os.getpid()))


if __name__ == "__main__":
    main()
