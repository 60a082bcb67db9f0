"""What a source needs before it is reached: told, asked for at once, and met one by one."""

from uuid import uuid4

import pytest
from pydantic import SecretStr

from mcpbox.domain.errors import Conflict, Refused
from mcpbox.domain.external_sources import NeedState, SourceNeed
from mcpbox.domain.ids import RequestId, SourceId
from mcpbox.domain.requests import State
from mcpbox.domain.upstreams import Authentication, Endpoint, HttpEndpoint, StdioEndpoint
from mcpbox.domain.verdicts import Verdict
from mcpbox.usecases.source_needs import SourceNeeds
from tests.integration.requests.conftest import ADA, AUTHOR, VIC, Office

WITH_TOKEN = HttpEndpoint(
    url="https://mcp.example.com/v1/mcp",
    authentication=Authentication.BEARER,
    secret_name="TOKEN",
)


def needs_in(office: Office) -> SourceNeeds:
    return SourceNeeds(office.database.sessions, office.requests, office.network, office.secrets)


async def added(office: Office, endpoint: Endpoint = WITH_TOKEN) -> SourceId:
    name = f"x{uuid4().hex[:8]}"
    return (await office.external.add(AUTHOR, name=name, description="", endpoint=endpoint)).id


def states(needs: list[SourceNeed]) -> list[NeedState]:
    return [need.state for need in needs]


async def decided(office: Office, request_id: RequestId | None, verdict: Verdict) -> None:
    assert request_id is not None
    request = await office.requests.get(request_id)
    await office.decide(await office.when(request, State.AWAITING_DECISION), verdict)


async def test_all_that_a_source_needs_is_asked_for_at_once_and_once(office: Office) -> None:
    source_id, needs = await added(office), needs_in(office)

    before = await needs.of(source_id)
    asked = await needs.ask(ADA, source_id, notes="Our weather.")
    again = await needs.ask(ADA, source_id, notes="Our weather.")
    for need in asked:
        await decided(office, need.request_id, Verdict.APPROVE)
    granted = await needs.of(source_id)
    source = await office.external.get(source_id)
    await office.secrets.set_value(ADA, source.server_id, "TOKEN", SecretStr("s3cret-s3cret"))
    ready = await needs.of(source_id)

    assert [need.value for need in before] == ["DELETE,GET,POST mcp.example.com/v1/mcp", "TOKEN"]
    assert states(before) == [NeedState.MISSING, NeedState.MISSING]
    assert states(asked) == [NeedState.ASKED, NeedState.ASKED]
    assert again == asked
    assert states(granted) == [NeedState.MET, NeedState.UNSET]
    assert "has no value yet" in source.blocked
    assert states(ready) == [NeedState.MET, NeedState.MET]
    assert (await office.external.get(source_id)).blocked == ""
    [secret] = await office.secrets.list(source.server_id)
    assert secret.hosts == ("mcp.example.com",)


async def test_a_module_that_is_run_is_a_need_and_what_people_denied_is_not_asked_again(
    office: Office,
) -> None:
    needs = needs_in(office)
    module_id, source_id = (
        await added(office, StdioEndpoint(module="shop.main")),
        await added(office),
    )

    [module] = await needs.of(module_id)
    [host, _] = await needs.ask(ADA, source_id, notes="Ours.")
    await decided(office, host.request_id, Verdict.DENY)
    with pytest.raises(Conflict, match="denied"):
        await needs.ask(ADA, source_id, notes="Ours.")
    with pytest.raises(Refused):
        await needs.ask(VIC, source_id, notes="Ours.")

    assert (module.value, module.state) == ("shop", NeedState.MISSING)
