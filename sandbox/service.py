"""The HTTP face: health, metrics, runs and checks as the contract says."""

import hmac
import logging
import platform
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.admission import Admission
from sandbox.answers import HANDLERS, Problem, answer, as_json
from sandbox.bodies import parsed
from sandbox.bundles import Bundles, Registered, ungranted
from sandbox.cancelling import Cancelling, Stop
from sandbox.contract import (
    API_KEY_HEADER,
    EVENTS_MEDIA_TYPE,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    CheckFinding,
    CheckRequest,
    CheckResult,
    ErrorKind,
    RegisteredBundle,
    RunError,
    RunRequest,
    RunResult,
)
from sandbox.hosts import HostGrant
from sandbox.metrics import MEDIA_TYPE, Metrics
from sandbox.module_sets.endpoints import ModuleSetEndpoints
from sandbox.module_sets.store import ModuleSets
from sandbox.pools import Pools
from sandbox.probe import Isolation
from sandbox.receipts import Receipts
from sandbox.runner import Runner
from sandbox.secrets import LastingStandIns, Secrets, StandIns, passing
from sandbox.streaming import EventStream, OnOutput, while_connected

MAX_RUN_BYTES = 8 * 2**20
MAX_CHECK_BYTES = 2 * 2**20
_SHOWN = 100

log = logging.getLogger("sandbox")


class Service:
    def __init__(
        self,
        *,
        api_key: str,
        pools: Pools,
        admission: Admission,
        runner: Runner,
        isolation: Isolation,
        receipts: Receipts,
        metrics: Metrics,
        module_sets: ModuleSets,
        private_hosts: tuple[HostGrant, ...] = (),
    ) -> None:
        self._api_key = api_key.encode()
        self._pools = pools
        self._admission = admission
        self._runner = runner
        self._isolation = isolation
        self._receipts = receipts
        self._metrics = metrics
        self._module_sets = ModuleSetEndpoints(module_sets, self._require_key)
        self._private_hosts = private_hosts
        self._bundles = Bundles()
        self._cancelling = Cancelling()
        self._lasting_stand_ins = LastingStandIns()
        self._instance = uuid4().hex

    def asgi(self) -> ASGIApp:
        others = Starlette(
            routes=[
                Route("/runs", self.runs, methods=["POST"]),
                Route("/health", self.health),
                Route("/metrics", self.metrics),
                Route("/runs/{run_id:path}", self.cancel, methods=["DELETE"]),
                Route("/bundles/{key:path}", self.bundles, methods=["PUT"]),
                Route("/checks", self.checks, methods=["POST"]),
                *self._module_sets.routes(),
            ],
            exception_handlers=HANDLERS,
        )

        async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/runs" and scope["method"] == "POST":
                await answer(self.runs, scope, receive, send)
            else:
                await others(scope, receive, send)

        return asgi

    async def health(self, _: Request) -> Response:
        health = self._isolation.health(
            ready=self._pools.base.ready,
            idle=self._pools.base.idle,
            running=self._admission.running,
            python=platform.python_version(),
        )
        health = health.model_copy(update={"instance": self._instance})
        return as_json(health, status=200 if health.ready else 503)

    async def metrics(self, request: Request) -> Response:
        self._require_key(request)
        exposition = self._metrics.exposition(
            {
                "running": self._admission.running,
                "waiting": self._admission.waiting,
                "idle_children": self._pools.base.idle,
                "zygotes": self._pools.zygotes,
            }
        )
        return Response(exposition, media_type=MEDIA_TYPE)

    async def runs(self, request: Request) -> Response:
        self._require_key(request)
        asked = await parsed(request, RunRequest, max_bytes=MAX_RUN_BYTES)
        if EVENTS_MEDIA_TYPE in request.headers.get("accept", ""):
            return EventStream(partial(self._run, asked))
        return as_json(await while_connected(request.receive, self._run(asked)))

    async def cancel(self, request: Request) -> Response:
        self._require_key(request)
        if not await self._cancelling.cancel(request.path_params["run_id"]):
            raise Problem(404, "Unknown run", "No run of this run_id is in progress.")
        return Response(status_code=204)

    async def checks(self, request: Request) -> Response:
        self._require_key(request)
        asked = await parsed(request, CheckRequest, max_bytes=MAX_CHECK_BYTES)
        with self._metrics.watching():
            findings = await while_connected(request.receive, self._runner.check(asked))
        return as_json(CheckResult(findings=findings))

    async def bundles(self, request: Request) -> Response:
        self._require_key(request)
        bundle = await parsed(request, Bundle, max_bytes=MAX_RUN_BYTES)
        asked = RunRequest(bundle_key=request.path_params["key"], bundle=bundle)
        with self._metrics.watching():
            return as_json(await while_connected(request.receive, self._made_ready(asked)))

    def _require_key(self, request: Request) -> None:
        given = request.headers.get(API_KEY_HEADER, "").encode()
        if not hmac.compare_digest(given, self._api_key):
            raise Problem(401, "Not authenticated", f"The header {API_KEY_HEADER} is wrong.")

    async def _run(self, asked: RunRequest, on_output: OnOutput | None = None) -> RunResult:
        with self._metrics.watching():
            if asked.run_id is None:
                result = await self._run_once(asked, on_output)
            else:
                work = partial(self._run_once, asked, on_output)
                result = await self._cancelling.run(asked.run_id, work)
        self._metrics.ran(result, trial=asked.trial)
        return result

    async def _run_once(
        self, asked: RunRequest, on_output: OnOutput | None, stop: Stop | None = None
    ) -> RunResult:
        registered = self._bundles.find(asked.bundle_key, trial=asked.trial)
        if registered is None:
            registered = await self._register(asked)
        if registered.approval is None:
            server = registered.bundle.server[:_SHOWN]
            log.info("trial run: bundle %s, server %r", registered.key, server)
        else:
            registered.approval.require(asked.secrets, datetime.now(UTC))
        if registered.rejection is not None:
            return RunResult(ok=False, error=registered.rejection)
        try:
            secrets = Secrets.of(
                asked.secrets, trial=asked.trial, stand_in=self._stand_ins(registered)
            )
        except ValueError as error:
            raise Problem(422, "Invalid request", f"secrets: {error}.") from error
        return await self._runner.run(
            registered,
            arguments=asked.arguments,
            limits=asked.limits,
            secrets=secrets,
            on_output=on_output,
            stop=stop,
        )

    def _stand_ins(self, registered: Registered) -> StandIns:
        lasts = registered.bundle.stdio is not None
        return self._lasting_stand_ins.of(registered.owner) if lasts else passing

    async def _register(self, asked: RunRequest) -> Registered:
        bundle = asked.bundle
        if bundle is None:
            detail = "This bundle is not known here (any more): send it along once."
            raise Problem(UNKNOWN_BUNDLE_STATUS, "Unknown bundle", detail)
        if bundle.key != asked.bundle_key:
            detail = "bundle_key: it is not the key of the bundle that was sent."
            raise Problem(422, "Invalid request", detail)
        approval = None if asked.trial else self._receipts.approval_of(bundle)
        try:
            registered = Registered.of(bundle, self._private_hosts, approval)
        except ValueError as error:
            raise Problem(422, "Invalid request", f"bundle.hosts: {error}.") from error
        registered = replace(registered, rejection=await self._judge(bundle))
        self._bundles.add(registered)
        return registered

    async def _made_ready(self, asked: RunRequest) -> RegisteredBundle:
        registered = await self._register(asked)
        bundle, rejection = registered.bundle, registered.rejection
        if rejection is None and bundle.module_set is not None:
            rejection = await self._runner.try_modules(bundle)
        return RegisteredBundle(
            key=registered.key, problem=None if rejection is None else rejection.message
        )

    async def _judge(self, bundle: Bundle) -> RunError | None:
        if bundle.stdio is not None:
            return ungranted(bundle.stdio, bundle)
        asked = CheckRequest(code=bundle.code, modules=bundle.modules)
        findings = await self._runner.check(asked, server=bundle.server)
        if not findings:
            return None
        self._metrics.rejected()
        first, *others = findings
        message = " ".join([first.message, *map(_described, others)])
        return RunError(kind=ErrorKind.REJECTED, message=message, line=first.line)


def _described(finding: CheckFinding) -> str:
    return f"Line {finding.line}: {finding.message}"
