"""In-memory twins of the use cases: the real domain and policies, no I/O."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from gateway.admission import Admission, ClientTokens
from gateway.clients import KnownClients
from gateway.definition import UseCases
from gateway.parts import Parts
from mcpbox.domain.base import Page, PageRequest
from mcpbox.domain.executions import Execution, ExecutionOutcome, Origin
from mcpbox.domain.extraction import read_source
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.people import Principal
from mcpbox.domain.sources import SourceReport, Trial
from mcpbox.policies.static import read_code
from mcpbox.sandbox_client import OnOutput
from mcpbox.usecases.development import Development, trial_of
from mcpbox.usecases.executions import Executions
from sandbox.contract import Bundle
from tests.service.gateway.catalog_twins import InMemoryDeletion, InMemoryServers, InMemoryTools
from tests.service.gateway.grant_twins import InMemoryNetwork, InMemoryReleases, InMemorySecrets
from tests.service.gateway.pages import page_of
from tests.service.gateway.request_twins import InMemoryRequests
from tests.service.gateway.source_twins import InMemorySources
from tests.service.gateway.world import World


def parts_of(
    world: World,
    *,
    public_hosts: tuple[str, ...] = (),
    metrics_token: str | None = None,
    admission: Callable[[KnownClients], Admission] = ClientTokens,
) -> Parts:
    return Parts(
        use_cases=use_cases_of(world),
        sandbox=world.sandbox,
        breaker=world.breaker,
        authenticate=world.authenticate,
        admission=admission,
        record_seen=world.record_seen,
        load_callables=world.load_callables,
        write_executions=world.write_executions,
        load_settings=world.load_settings,
        listen=world.listen,
        turns=world.turns,
        check_source=world.check_source,
        renew_source=world.renew_source,
        public_hosts=public_hosts,
        panel_url="http://panel.example",
        metrics_token=SecretStr(metrics_token) if metrics_token else None,
    )


def use_cases_of(world: World) -> UseCases:
    return UseCases(
        servers=InMemoryServers(world),
        deletion=InMemoryDeletion(world),
        tools=InMemoryTools(world),
        development=InMemoryDevelopment(world),
        executions=InMemoryExecutions(world),
        requests=InMemoryRequests(world),
        network=InMemoryNetwork(world),
        releases=InMemoryReleases(world),
        secrets=InMemorySecrets(),
        sources=InMemorySources(world),
    )


class InMemoryExecutions(Executions):
    def __init__(self, world: World) -> None:
        self._world = world

    async def list(
        self,
        page: PageRequest,
        *,
        tool_id: ToolId | None = None,
        outcome: ExecutionOutcome | None = None,
        origin: Origin | None = None,
    ) -> Page[Execution]:
        found = [
            execution
            for execution in self._world.executions
            if tool_id in {None, execution.tool_id} and outcome in {None, execution.outcome}
        ]
        return page_of(found[::-1], page)


class InMemoryDevelopment(Development):
    def __init__(self, world: World) -> None:
        self._world = world

    async def validate(self, code: str, server_id: ServerId | None = None) -> SourceReport:
        report = read_source(code)
        return report.model_copy(update={"findings": read_code(code).findings})

    async def trial(
        self,
        by: Principal,
        tool_id: ToolId,
        arguments: dict[str, Any],
        on_output: OnOutput | None = None,
    ) -> Trial:
        tool = await InMemoryTools(self._world).get(tool_id)
        bundle = Bundle(code=tool.current.code)
        return trial_of(
            await self._world.sandbox.run(bundle, arguments, trial=True, on_output=on_output)
        )

    async def end_quarantined(self) -> None:
        """Nothing here is ever quarantined."""
