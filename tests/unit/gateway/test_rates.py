"""Token buckets: a minute's worth at once, then evenly, and each limit by itself."""

from contextlib import suppress
from uuid import uuid4

import pytest

from gateway.rates import Limited, Rates
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import RateExceeded
from mcpbox.domain.ids import ClientId, ToolId
from mcpbox.domain.people import Client
from mcpbox.domain.review_policy import SecuritySettings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.settings = SecuritySettings(
            mcp_rate_limit_rpm=30, user_rate_limit_rpm=40, tool_rate_limit_rpm=10
        )
        self.rates = Rates(lambda: self.settings, clock=lambda: self.now)

    def let_through(self, client: Client, tries: int) -> int:
        done = 0
        for _ in range(tries):
            with suppress(RateExceeded):
                self.rates.take_request(client)
                done += 1
        return done

    def wait_for(self, client: Client) -> int:
        with pytest.raises(RateExceeded) as refusal:
            self.rates.take_request(client)
        assert f"Wait {refusal.value.wait_s} s" in str(refusal.value)
        return refusal.value.wait_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_client(owner: str = "ana") -> Client:
    return Client(
        id=ClientId(uuid4()),
        name="laptop",
        owner=owner,
        scopes=frozenset(),
        created_at=utc_now(),
    )


def test_a_client_may_use_a_minute_at_once_and_is_told_how_long_to_wait_then(clock: Clock) -> None:
    client = a_client()

    assert clock.let_through(client, 50) == 30
    assert clock.wait_for(client) == 2
    clock.now += 2
    assert clock.let_through(client, 50) == 1
    clock.now += 20
    assert clock.let_through(client, 50) == 10
    assert clock.rates.refused[Limited.CLIENT] == 20 + 1 + 49 + 40


def test_waiting_longer_than_a_minute_saves_nothing_up(clock: Clock) -> None:
    client = a_client()
    clock.let_through(client, 50)
    clock.now += 3600

    assert clock.let_through(client, 50) == 30


def test_the_clients_of_one_person_share_a_limit_and_those_of_others_do_not(clock: Clock) -> None:
    greedy, second, stranger = a_client(), a_client(), a_client("bo")

    assert clock.let_through(greedy, 50) == 30
    assert clock.let_through(second, 50) == 10
    assert clock.rates.refused == {Limited.CLIENT: 20, Limited.USER: 40}
    assert clock.let_through(stranger, 50) == 30


def test_what_was_refused_to_a_client_does_not_count_for_its_person(clock: Clock) -> None:
    clock.let_through(a_client(), 1000)

    assert clock.let_through(a_client(), 10) == 10


def test_a_tool_has_a_limit_of_its_own(clock: Clock) -> None:
    busy, other = ToolId(uuid4()), ToolId(uuid4())
    for _ in range(10):
        clock.rates.take_call(busy, "calc__add")
    with pytest.raises(RateExceeded, match="Too many calls of calc__add"):
        clock.rates.take_call(busy, "calc__add")

    clock.rates.take_call(other, "calc__sub")


def test_a_changed_limit_acts_on_the_next_request(clock: Clock) -> None:
    client = a_client()
    clock.let_through(client, 50)
    clock.settings = SecuritySettings(mcp_rate_limit_rpm=6000, user_rate_limit_rpm=6000)
    clock.now += 0.1

    assert clock.let_through(client, 50) == 10
    clock.settings = SecuritySettings(mcp_rate_limit_rpm=10, user_rate_limit_rpm=6000)
    assert clock.wait_for(client) == 6


def test_who_asks_no_more_is_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.rates._KEPT_MAX", 100)
    for number in range(100):
        clock.rates.take_request(a_client(f"user{number}"))
    clock.now += 120
    clock.rates.take_request(a_client())

    assert len(clock.rates) == 2
