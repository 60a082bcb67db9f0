"""What may be listed and called, and for how long memory is believed (I1, I9)."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.catalog import TRUST_S, Catalog
from gateway.released import ReleasedTool, prepare
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.errors import Invalid, Refused, Unavailable
from mcpbox.domain.grants import GrantEnd, GrantKind
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Granted, Manifest
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.domain.servers import DesiredState
from tests.service.gateway.factories import a_callable, a_version, soon
from tests.service.gateway.world import World

CALLER = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.CALL}))
AUTHOR = Principal(kind=PrincipalKind.CLIENT, name="writer", scopes=frozenset({Scope.AUTHOR}))


class Clock:
    """Also says since when changes cannot reach us."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lost: float | None = None

    def __call__(self) -> float:
        return self.now

    def lost_at(self) -> float | None:
        return self.lost


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes_told() -> list[bool]:
    return []


@pytest.fixture
def catalog(world: World, clock: Clock, changes_told: list[bool]) -> Catalog:
    return Catalog(world.load_callables, clock.lost_at, changes_told.append, clock=clock)


@pytest.fixture
async def running(catalog: Catalog) -> AsyncGenerator[Catalog]:
    task = asyncio.create_task(catalog.run())
    yield catalog
    task.cancel()


def names(catalog: Catalog, principal: Principal = CALLER) -> list[str]:
    return [tool.name for tool in catalog.visible_to(principal)]


def schema(**schema: Any) -> ReleasedTool:
    return prepare(a_callable(a_version(input_schema=schema)), {})


async def test_released_tools_are_listed_by_name_to_callers_only(
    world: World, catalog: Catalog
) -> None:
    world.callables = [a_callable(server="zoo"), a_callable(server="ant")]
    await catalog.reload()

    assert names(catalog) == ["ant__add", "zoo__add"]
    assert names(catalog, AUTHOR) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"server_state": DesiredState.STOPPED}, "is stopped"),
        ({"enabled": False}, "is disabled"),
        ({"approved_digest": Digest("sha256:" + "0" * 64)}, "not what was approved"),
        ({"receipt": None}, "no approval receipt"),
    ],
)
async def test_i1_a_tool_is_listed_only_while_every_condition_holds(
    world: World, catalog: Catalog, changes: dict[str, Any], reason: str
) -> None:
    world.callables = [a_callable(**changes)]
    await catalog.reload()

    found = catalog.find("calc__add")
    assert found is not None
    assert reason in found.ruling.reason
    assert names(catalog) == []


async def test_i1_a_host_that_is_granted_no_more_takes_the_tool_away(
    world: World, catalog: Catalog
) -> None:
    version = a_version(manifest=Manifest(hosts=("api.example.org",)))
    granted = frozenset({"api.example.org", "b.example.org"})
    world.callables = [
        a_callable(version, server="no"),
        a_callable(version, server="yes", granted=Granted(hosts=granted)),
    ]
    await catalog.reload()

    found = catalog.find("yes__add")
    assert names(catalog) == ["yes__add"]
    assert found is not None
    assert found.bundle.hosts == ("api.example.org",)


async def test_i1_the_end_of_a_grant_acts_by_itself_and_clients_are_told(
    world: World, clock: Clock
) -> None:
    """Nobody announces it here: its timer may be late."""
    end = GrantEnd(kind=GrantKind.HOST, value="a.org", at=utc_now() + timedelta(seconds=0.3))
    held = Granted(hosts=frozenset({"a.org"}), ends=(end,))
    world.callables = [a_callable(a_version(manifest=Manifest(hosts=("a.org",))), granted=held)]
    gone = asyncio.Event()
    seen: list[list[str]] = []

    def told(visible: bool) -> None:
        seen.append(names(catalog))
        if visible and len(seen) > 1:
            gone.set()

    catalog = Catalog(world.load_callables, clock.lost_at, told, clock=clock)
    catalog.changed()
    task = asyncio.create_task(catalog.run())

    await soon(gone.wait())
    task.cancel()

    assert seen[0] == ["calc__add"]
    assert seen[-1] == []
    assert utc_now() >= end.at


async def test_i1_what_was_listed_before_a_grant_ended_is_not_listed_after_it(
    world: World, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing is remembered up to then, and no longer, whether or not a load comes between."""
    end = GrantEnd(kind=GrantKind.HOST, value="a.org", at=utc_now() + timedelta(hours=1))
    later = end.model_copy(update={"at": end.at + timedelta(hours=1)})
    needing = a_version(manifest=Manifest(hosts=("a.org",)))
    world.callables = [
        a_callable(needing, granted=Granted(hosts=frozenset({"a.org"}), ends=(one,)), server=server)
        for server, one in (("first", end), ("second", later))
    ]
    await catalog.reload()

    assert names(catalog) == ["first__add", "second__add"]
    monkeypatch.setattr("gateway.catalog.utc_now", lambda: end.at)
    assert names(catalog) == ["second__add"]
    monkeypatch.setattr("gateway.catalog.utc_now", lambda: later.at)
    assert names(catalog) == []


async def test_i1_code_that_was_changed_under_its_stored_digest_is_not_callable(
    world: World, catalog: Catalog
) -> None:
    """The digest is computed from what would run, whatever the row says."""
    approved = a_version()
    tampered = approved.model_copy(update={"code": approved.code.replace("+", "-")})
    world.callables = [a_callable(tampered, approved_digest=approved.digest)]
    await catalog.reload()

    assert tampered.digest == approved.digest
    assert names(catalog) == []


async def test_two_released_tools_of_one_name_are_both_refused(
    world: World, catalog: Catalog
) -> None:
    world.callables = [a_callable(), a_callable(), a_callable(server="other")]
    await catalog.reload()

    assert names(catalog) == ["other__add"]


def test_a_schema_without_a_type_is_listed_as_an_object() -> None:
    tool = schema(properties={"a": {"type": "integer"}})

    assert tool.ruling
    assert tool.listing.input_schema["type"] == "object"


@pytest.mark.parametrize("broken", [{"type": "string"}, {"type": "object", "properties": 7}])
def test_a_schema_that_is_no_object_is_not_listed_and_breaks_no_list(
    broken: dict[str, Any],
) -> None:
    tool = schema(**broken)

    assert "cannot be used" in tool.ruling.reason
    assert tool.listing.input_schema["type"] == "object"
    with pytest.raises(Refused, match="publish it again"):
        tool.require_valid({})


def test_wrong_arguments_are_answered_with_place_and_reason() -> None:
    tool = schema(
        type="object",
        properties={"points": {"type": "array", "items": {"type": "integer"}}, "b": {}},
        required=["points", "b"],
    )

    with pytest.raises(Invalid) as caught:
        tool.require_valid({"points": [1, "two"]})

    assert "At points/1: 'two' is not of type 'integer'." in str(caught.value)
    assert "At arguments: 'b' is a required property." in str(caught.value)


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(Invalid) as caught:
        schema(properties={"a": {"type": "integer"}}).require_valid({"a": "x" * 10_000})

    assert len(str(caught.value)) < 500


def test_a_schema_is_never_fetched_from_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", fetched.append)
    tool = schema(type="object", properties={"a": {"$ref": "http://127.0.0.1:1/schema.json"}})

    with pytest.raises(Refused, match="cannot be used"):
        tool.require_valid({"a": 1})
    assert fetched == []


async def test_a_schema_is_compiled_once_per_digest(world: World, catalog: Catalog) -> None:
    world.callables = [a_callable()]
    await catalog.reload()
    first = catalog.find("calc__add")
    await catalog.reload()
    second = catalog.find("calc__add")

    assert first is not None
    assert second is not None
    assert first is not second
    assert first.validator is second.validator


async def test_listeners_are_told_only_of_changes_that_clients_can_see(
    world: World, catalog: Catalog, changes_told: list[bool]
) -> None:
    hidden = a_callable(server="hidden", enabled=False)
    world.callables = [a_callable()]
    for tools in ([a_callable()], [a_callable()], [a_callable(), hidden], [hidden]):
        world.callables = tools
        await catalog.reload()

    assert changes_told == [True, False, False, True]


async def test_nothing_is_trusted_before_the_first_load(catalog: Catalog, clock: Clock) -> None:
    clock.lost = clock.now
    with pytest.raises(Unavailable, match="Postgres is not reachable"):
        await catalog.require_trusted()


async def test_memory_is_believed_for_five_seconds_without_changes(
    catalog: Catalog, clock: Clock
) -> None:
    await catalog.reload()
    clock.lost = clock.now
    clock.now += TRUST_S
    await catalog.require_trusted()
    clock.now += 0.1

    with pytest.raises(Unavailable, match="Postgres is not reachable"):
        await catalog.require_trusted()


async def test_a_change_that_cannot_be_loaded_ends_the_trust(
    world: World, catalog: Catalog, clock: Clock
) -> None:
    """Connected, but a stop was announced that we could not read yet."""
    await catalog.reload()
    world.postgres_reachable = False
    catalog.changed()
    with pytest.raises(Unavailable):
        await catalog.reload()
    clock.now += TRUST_S + 0.1

    assert not catalog.trusted


async def test_after_a_reconnect_calls_wait_for_the_reload(
    world: World, running: Catalog, clock: Clock
) -> None:
    running.reconnected()
    await soon(running.require_trusted())
    world.callables = [a_callable()]
    clock.now += 60
    running.reconnected()

    assert not running.trusted
    await soon(running.require_trusted())
    assert names(running) == ["calc__add"]


async def test_doubt_ends_with_a_load_that_began_after_it(world: World, clock: Clock) -> None:
    loading, loaded = asyncio.Event(), asyncio.Event()

    async def load() -> list[CallableTool]:
        loading.set()
        await loaded.wait()
        return world.callables

    async def load_while(happens: Callable[[], None]) -> None:
        loading.clear()
        loaded.clear()
        reload = asyncio.create_task(catalog.reload())
        await soon(loading.wait())
        assert not catalog.trusted
        happens()
        loaded.set()
        await soon(reload)

    catalog = Catalog(load, clock.lost_at, lambda _: None, clock=clock)
    await load_while(catalog.reconnected)
    assert not catalog.trusted
    await load_while(catalog.changed)
    assert catalog.trusted
    clock.now += TRUST_S + 0.1
    assert not catalog.trusted


async def test_it_loads_again_by_itself_when_postgres_is_back(
    world: World, running: Catalog
) -> None:
    world.postgres_reachable = False
    running.reconnected()
    await asyncio.sleep(0)
    world.callables = [a_callable()]
    world.postgres_reachable = True

    await soon(running.require_trusted())
    assert names(running) == ["calc__add"]


async def test_changes_that_come_in_bunches_are_read_together(world: World, clock: Clock) -> None:
    """However many there are: between two reads there is time for calls."""
    reads = 0

    async def load() -> list[CallableTool]:
        nonlocal reads
        reads += 1
        clock.now += 1
        return await world.load_callables()

    catalog = Catalog(load, clock.lost_at, lambda _: None, clock=clock)
    task = asyncio.create_task(catalog.run())
    catalog.reconnected()
    await catalog.settled()
    for _ in range(3):
        catalog.changed()
        for _ in range(20):
            await asyncio.sleep(0)
    await catalog.settled()
    task.cancel()

    assert reads == 2
