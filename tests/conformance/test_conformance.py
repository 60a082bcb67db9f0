"""Every scored scenario of the protocol's own suite, in both eras, on the real gateway."""

import pytest

from gateway.app import Gateway
from tests.conformance.fixtures.service import Known, with_fixtures
from tests.conformance.suite import Found, conformance_of, expected_failures
from tests.service.gateway.running import TOKEN, running
from tests.service.gateway.use_cases import parts_of
from tests.service.gateway.world import World

COUNTED = {"2025-11-25": 30, "2026-07-28": 34}
"""Scenarios that passed and could have failed: what the suite drops unseen is missed here."""


# What the newer era takes out of the protocol is asked for in the older one.
@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
@pytest.mark.parametrize("revision", COUNTED)
async def test_every_scored_scenario_passes(revision: str) -> None:
    found = await _conformance(revision)

    assert found.failed == expected_failures(revision), found.told
    assert len(found.counted) == COUNTED[revision], sorted(found.counted)


async def _conformance(revision: str) -> Found:
    world = World()
    world.add_client(TOKEN)
    world.set_security(mcp_rate_limit_rpm=1_000_000, user_rate_limit_rpm=1_000_000)
    gateway = Gateway(parts_of(world))
    with_fixtures(gateway)
    async with running(gateway, lambda app: Known(app, TOKEN)) as up:
        return await conformance_of(up.url, revision)
