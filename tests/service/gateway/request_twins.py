"""In-memory twin of the use case about requests, as the others have theirs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.comments import Comment, CommentDraft
from mcpbox.domain.digests import digest_of_ask
from mcpbox.domain.errors import Conflict, NotFound
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import CommentId, RequestId, ServerId, ToolId
from mcpbox.domain.manifests import Needs, needs_beyond
from mcpbox.domain.modules import Requirement
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, ReviewAfterwards, State
from mcpbox.domain.subjects import Kind, ModuleSubject
from mcpbox.policies.review import facts_of, may_comment, may_revise, may_withdraw
from mcpbox.usecases.publications import require_grantable
from mcpbox.usecases.requests import Requests
from tests.service.gateway.catalog_twins import InMemoryServers, InMemoryTools
from tests.service.gateway.pages import page_of
from tests.service.gateway.world import World


class InMemoryRequests(Requests):
    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, request_id: RequestId) -> RequestDetail:
        if request_id not in self._world.requests:
            raise NotFound("request", request_id)
        if self._world.on_look is not None:
            self._world.on_look()
        return self._world.requests[request_id]

    async def request_publish(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        notes: str = "",
        sample_arguments: dict[str, Any] | None = None,
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        tool = await InMemoryTools(self._world).get(tool_id)
        if tool.released is not None and tool.released.digest == tool.current.digest:
            raise Conflict(f"Version {tool.current_version} is released.")
        for known in self._world.requests.values():
            if known.digest == tool.current.digest and not known.state.terminal:
                return known
        now = utc_now()
        request = RequestDetail(
            id=RequestId(uuid4()),
            workflow_id=f"publish/{tool_id}",
            kind=Kind.PUBLISH,
            state=State.AWAITING_DECISION,
            state_reason="",
            server_id=tool.server_id,
            server_name=tool.server_name,
            title=tool.callable_name,
            tool_id=tool_id,
            tool_name=tool.name,
            version_id=tool.current.id,
            version_number=tool.current_version,
            released_number=tool.released_version,
            digest=tool.current.digest,
            requester=by.label,
            notes=notes,
            quorum=1,
            risk=Risk.LOW,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=7),
            proposed=tool.current,
            released=tool.released,
            needs=needs_beyond(tool.current.manifest, frozenset()),
            evidence=[],
            decisions=[],
            history=[],
        )
        self._world.put_request(request, State.AWAITING_DECISION)
        return request

    async def request_module(
        self,
        by: Principal,
        server_id: ServerId,
        requirement: Requirement,
        *,
        days: int | None = None,
        notes: str = "",
    ) -> RequestSummary:
        require_grantable(requirement)
        server = await InMemoryServers(self._world).get(server_id)
        subject = ModuleSubject(
            server_id=server_id, server_name=server.name, requirement=requirement, days=days
        )
        now = utc_now()
        request = RequestDetail(
            id=RequestId(uuid4()),
            workflow_id=f"module_grant/{server_id}",
            kind=Kind.MODULE_GRANT,
            state=State.AWAITING_DECISION,
            state_reason="",
            server_id=server_id,
            server_name=server.name,
            title=subject.title,
            requirement=requirement,
            days=days,
            digest=digest_of_ask(server_id, requirement, days=days),
            requester=by.label,
            notes=notes,
            quorum=1,
            risk=Risk.LOW,
            created_at=now,
            updated_at=now,
            expires_at=now + timedelta(days=7),
            needs=Needs(),
            evidence=[],
            decisions=[],
            history=[],
        )
        self._world.put_request(request, State.AWAITING_DECISION)
        return request

    async def list(
        self,
        states: Sequence[State],
        page: PageRequest,
        tool_id: ToolId | None = None,
        review_afterwards: ReviewAfterwards | None = None,
    ) -> Page[RequestSummary]:
        found = [
            request
            for request in self._world.requests.values()
            if (not states or request.state in states)
            and (tool_id is None or request.tool_id == tool_id)
            and review_afterwards in (None, request.review_afterwards)
        ]
        return page_of(found[::-1], page)

    async def revise(
        self,
        by: Principal,
        request_id: RequestId,
        *,
        notes: str = "",
        requirements: Sequence[Requirement] = (),
    ) -> RequestSummary:
        request = await self.get(request_id)
        assert request.tool_id is not None
        tool = await InMemoryTools(self._world).get(request.tool_id)
        may_revise(facts_of(request), by, tool.current.digest).require()
        revised = request.model_copy(
            update={
                "round": request.round + 1,
                "digest": tool.current.digest,
                "proposed": tool.current,
                "version_id": tool.current.id,
                "version_number": tool.current.number,
                "notes": notes,
            }
        )
        self._world.put_request(revised, State.GATHERING)
        return await self.get(request_id)

    async def comment(self, by: Principal, request_id: RequestId, draft: CommentDraft) -> Comment:
        request = await self.get(request_id)
        may_comment(facts_of(request), by).require()
        comment = Comment(
            id=CommentId(uuid4()),
            request_id=request_id,
            author=by.label,
            text=draft.text,
            line=draft.line,
            digest=request.digest,
            round=request.round,
            commented_at=utc_now(),
        )
        thread = request.model_copy(update={"comments": (*request.comments, comment)})
        self._world.put_request(thread, request.state)
        return comment

    async def withdraw(self, by: Principal, request_id: RequestId, reason: str = "") -> Outcome:
        request = await self.get(request_id)
        may_withdraw(facts_of(request), by).require()
        self._world.put_request(request, State.WITHDRAWN)
        return Outcome(request_id=request_id, state=State.WITHDRAWN, state_reason=reason)
