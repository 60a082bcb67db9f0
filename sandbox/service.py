"""The HTTP face: health, runs and checks as the contract says."""

import asyncio
import hmac
import platform
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from sandbox.admission import Admission, Busy
from sandbox.bundles import Bundles, Registered
from sandbox.contract import (
    API_KEY_HEADER,
    BUSY_STATUS,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    CheckFinding,
    CheckRequest,
    CheckResult,
    ErrorKind,
    RunError,
    RunRequest,
    RunResult,
)
from sandbox.hosts import HostGrant
from sandbox.pool import Unavailable
from sandbox.pools import Pools
from sandbox.probe import Isolation
from sandbox.runner import Runner

MAX_BODY_BYTES = 8 * 2**20
_CLIENT_GONE_STATUS = 499

Asked = TypeVar("Asked", bound=BaseModel)
Answer = TypeVar("Answer")


class Problem(Exception):
    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


class Service:
    def __init__(
        self,
        *,
        api_key: str,
        pools: Pools,
        admission: Admission,
        runner: Runner,
        isolation: Isolation,
        private_hosts: tuple[HostGrant, ...] = (),
    ) -> None:
        self._api_key = api_key.encode()
        self._pools = pools
        self._admission = admission
        self._runner = runner
        self._isolation = isolation
        self._private_hosts = private_hosts
        self._bundles = Bundles()

    def asgi(self) -> Starlette:
        handlers: dict[Any, ExceptionHandler] = {
            Problem: _on_problem,
            Busy: _on_busy,
            Unavailable: _on_unavailable,
            ClientDisconnect: _on_client_gone,
            HTTPException: _on_http,
            Exception: _on_bug,
        }
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/runs", self.runs, methods=["POST"]),
                Route("/checks", self.checks, methods=["POST"]),
            ],
            exception_handlers=handlers,
        )

    async def health(self, _: Request) -> Response:
        health = self._isolation.health(
            ready=self._pools.base.ready,
            idle=self._pools.base.idle,
            running=self._admission.running,
            python=platform.python_version(),
        )
        return _json(health, status=200 if health.ready else 503)

    async def runs(self, request: Request) -> Response:
        asked = await self._parse(request, RunRequest)
        return _json(await _while_connected(request, self._run(asked)))

    async def checks(self, request: Request) -> Response:
        asked = await self._parse(request, CheckRequest)
        findings = await _while_connected(request, self._runner.check(asked))
        return _json(CheckResult(findings=findings))

    async def _run(self, asked: RunRequest) -> RunResult:
        registered = self._bundles.find(asked.bundle_key)
        if registered is None:
            registered = await self._register(asked)
        if registered.rejection is not None:
            return RunResult(ok=False, error=registered.rejection)
        return await self._runner.run(
            registered,
            arguments=asked.arguments,
            limits=asked.limits,
        )

    async def _register(self, asked: RunRequest) -> Registered:
        bundle = asked.bundle
        if bundle is None:
            detail = "This bundle is not known here (any more): send it along once."
            raise Problem(UNKNOWN_BUNDLE_STATUS, "Unknown bundle", detail)
        if bundle.key != asked.bundle_key:
            detail = "bundle_key: it is not the key of the bundle that was sent."
            raise Problem(422, "Invalid request", detail)
        try:
            registered = Registered.of(bundle, self._private_hosts)
        except ValueError as error:
            raise Problem(422, "Invalid request", f"bundle.hosts: {error}.") from error
        registered = replace(registered, rejection=await self._judge(bundle))
        self._bundles.add(registered)
        return registered

    async def _judge(self, bundle: Bundle) -> RunError | None:
        asked = CheckRequest(code=bundle.code, modules=bundle.modules)
        findings = await self._runner.check(asked)
        if not findings:
            return None
        first, *others = findings
        message = " ".join([first.message, *map(_described, others)])
        return RunError(kind=ErrorKind.REJECTED, message=message, line=first.line)

    async def _parse(self, request: Request, model: type[Asked]) -> Asked:
        given = request.headers.get(API_KEY_HEADER, "").encode()
        if not hmac.compare_digest(given, self._api_key):
            raise Problem(401, "Not authenticated", f"The header {API_KEY_HEADER} is wrong.")
        body = await _body(request)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise Problem(422, "Invalid request", _explained(error)) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            detail = f"A request body may have {MAX_BODY_BYTES} bytes."
            raise Problem(413, "Request too large", detail)
    return bytes(body)


async def _while_connected(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Nobody waits for the answer of a client that hung up: its child is killed."""
    working = asyncio.ensure_future(work)
    hung_up = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        hung_up.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))


def _described(finding: CheckFinding) -> str:
    return f"Line {finding.line}: {finding.message}"


def _explained(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


def _problem(status: int, title: str, detail: str) -> Response:
    return JSONResponse({"title": title, "detail": detail}, status)


def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _problem(error.status, error.title, error.detail)


def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, error.detail, "See the service's contract for its paths.")


def _on_bug(_: Request, __: Exception) -> Response:
    """The server logs what it was."""
    return _problem(500, "Internal error", "The sandbox service failed; its log says why.")


def _on_busy(_: Request, error: Exception) -> Response:
    return _problem(BUSY_STATUS, "Busy", str(error))


def _on_unavailable(_: Request, error: Exception) -> Response:
    return _problem(503, "Unavailable", str(error))


def _on_client_gone(_: Request, __: Exception) -> Response:
    return _problem(_CLIENT_GONE_STATUS, "Client gone", "The client hung up.")
