"""An API of a few fixed answers, and the objects in them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from mcpbox.domain.base import Page
from mcpbox.domain.digests import digest_of
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.ids import Digest, RequestId, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Manifest, Needs
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import ToolVersion, VersionContent, callable_name

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CODE = 'async def main(place: str) -> str:\n    return "sunny"\n'
OTHER_DIGEST = Digest("sha256:" + "0" * 64)

Answer = Callable[[httpx.Request], httpx.Response]


class StubApi:
    """Knows the tokens ``good`` (a reviewer) and ``viewer``; everything else is signed out."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        self.roles = {"good": ["reviewer"], "viewer": ["viewer"]}

    def __call__(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=httpx.MockTransport(self._handle),
            base_url="http://panel/api/v1/",
            headers=headers,
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        self.asked.append(path)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if path in self.answers:
            return self.answers[path](request)
        if path == "auth/login":
            return self._login(request)
        if token not in self.roles:
            return problem(401, "Log in.")
        if path == "auth/me":
            return json_answer({"username": "ana", "roles": self.roles[token]})
        if path == "auth/logout":
            del self.roles[token]
            return httpx.Response(204)
        if path == "system":
            return json_answer({"services": []})
        if path == "notices/unread":
            return json_answer({"count": 0})
        if path == "recoveries":
            return httpx.Response(200, json=[])
        page: Page[Any] = Page(items=[], total=0, page=1, page_size=50)
        return json_answer(page.model_dump(mode="json"))

    def _login(self, request: httpx.Request) -> httpx.Response:
        if b"hunter2" not in request.content:
            return problem(401, "No.")
        return json_answer({"access_token": "good", "refresh_token": "r", "expires_in": 60})


def json_answer(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=body)


def problem(status: int, detail: str) -> httpx.Response:
    body = {"type": "/problems/X", "title": "X", "status": status, "detail": detail}
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, json=body, headers=headers)


def a_version(code: str = CODE, *, number: int = 1, hosts: tuple[str, ...] = ()) -> ToolVersion:
    content = VersionContent(
        name="forecast",
        description="The weather.",
        code=code,
        input_schema={"type": "object"},
        manifest=Manifest(hosts=hosts),
    )
    return ToolVersion(
        **content.model_dump(),
        id=VersionId(UUID(int=number)),
        tool_id=ToolId(UUID(int=1)),
        number=number,
        digest=digest_of(content),
        author="client:laptop",
        created_at=NOW,
    )


def a_finding(line: int, *, digest: Digest) -> Evidence:
    return Evidence(
        check=Check.GUARD,
        digest=digest,
        status=Status.WARNING,
        summary="One remark.",
        findings=(Finding(level=Risk.HIGH, title="Look", text="here", line=line),),
        checked_at=NOW,
    )


def a_request(
    proposed: ToolVersion, released: ToolVersion | None = None, *evidence: Evidence
) -> RequestDetail:
    return RequestDetail(
        id=RequestId(UUID(int=7)),
        workflow_id="publish/1",
        kind=Kind.PUBLISH,
        state=State.AWAITING_DECISION,
        state_reason="",
        server_id=ServerId(UUID(int=1)),
        server_name="weather",
        title=callable_name("weather", proposed.name),
        tool_id=proposed.tool_id,
        tool_name=proposed.name,
        version_id=proposed.id,
        version_number=proposed.number,
        released_number=released.number if released else None,
        digest=proposed.digest,
        requester="client:laptop",
        notes="",
        quorum=1,
        risk=Risk.LOW,
        created_at=NOW,
        updated_at=NOW,
        expires_at=NOW + timedelta(days=7),
        proposed=proposed,
        released=released,
        needs=Needs(),
        evidence=list(evidence),
        decisions=[],
        history=[],
    )
