"""Signing in at a source that a certified provider protects: there, back, and tokens renewed."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text

from mcpbox.domain.audit import Action, AuditFilter
from mcpbox.domain.base import PageRequest
from mcpbox.domain.errors import Invalid, Refused, SourceFailed
from mcpbox.domain.external_sources import ExternalSource
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.store.audit import events
from mcpbox.store.secrets import get_secret_row
from mcpbox.upstream.reader import Reader
from mcpbox.upstream.tokens import tokens_in
from mcpbox.usecases.source_sign_in import SourceSignIn
from mcpbox.usecases.source_tokens import SourceTokens
from tests.integration.requests.conftest import ADA, ANA, AUTHOR, KEY, VAULT, Office
from tests.mcp_sources import Source, running_source
from tests.provider.person import CALLBACK, Person
from tests.provider.running import running_provider


@dataclass
class Shop:
    """A source whose tools are for whoever signed in."""

    office: Office
    source: Source
    issuer: str
    signing_in: SourceSignIn

    async def added(self, *hosts: str) -> ExternalSource:
        """With all grants; its secret is bound to these hosts."""
        office, by_word = self.office, "So that it can be reached."
        endpoint = HttpEndpoint(
            url=self.source.url, authentication=Authentication.OAUTH, secret_name="SIGN_IN"
        )
        added = await office.external.add(
            AUTHOR, name=f"x{uuid4().hex[:8]}", description="A shop.", endpoint=endpoint
        )
        await office.external.allow_private(ADA, added.id, allowed=True)
        await office.secrets.create(AUTHOR, added.server_id, "SIGN_IN", hosts)
        await self._decided(
            await office.network.request_access(
                AUTHOR, added.server_id, endpoint.access, justification=by_word
            )
        )
        await self._decided(
            await office.secrets.request(AUTHOR, added.server_id, "SIGN_IN", justification=by_word)
        )
        return added

    async def _decided(self, request: RequestSummary) -> None:
        await self.office.decide(await self.office.when(request, State.AWAITING_DECISION))
        await self.office.when(request, State.APPLIED)

    async def signed_in(self) -> ExternalSource:
        source = await self.added(*self.hosts)
        state, code, iss = await self.at_the_provider(source)
        return await self.signing_in.finish(ADA, state, code, iss)

    async def at_the_provider(self, source: ExternalSource) -> tuple[str, str, str | None]:
        person = Person("ana")
        await person.sign_in(await self.signing_in.begin(ADA, source.id, CALLBACK))
        back = await person.come_back()
        assert back.state is not None
        return back.state, back.code, back.iss

    async def value(self, source: ExternalSource) -> SecretStr:
        async with self.office.database.sessions.begin() as session:
            row = await get_secret_row(session, source.server_id, "SIGN_IN")
            found = VAULT.find(source.server_id, row.name, row.key_id, row.sealed)
        assert found is not None
        return found

    @property
    def hosts(self) -> tuple[str, str]:
        return urlsplit(self.source.url).netloc, urlsplit(self.issuer).netloc


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(office: Office) -> AsyncGenerator[Shop]:
    async with running_source() as source:
        with running_provider(source.url) as issuer:
            async with httpx.AsyncClient() as http:
                keys = jwt.PyJWKSet.from_dict((await http.get(f"{issuer}/jwks")).json())

            def takes(token: str) -> bool:
                try:
                    jwt.decode(token, keys["first"], ["ES256"], audience=source.url, issuer=issuer)
                except jwt.PyJWTError:
                    return False
                return True

            source.issuer, source.takes = issuer, takes
            signing_in = SourceSignIn(office.database.sessions, office.secrets, KEY)
            yield Shop(office, source, issuer, signing_in)


async def test_a_person_signs_in_and_the_source_takes_the_tokens_which_nobody_is_told(
    shop: Shop,
) -> None:
    source = await shop.signed_in()
    value = await shop.value(source)
    endpoint = source.endpoint
    assert isinstance(endpoint, HttpEndpoint)
    listing = await Reader().list_tools(endpoint, value, allow_private=True)

    assert [tool.name for tool in listing.tools] == ["echo"]
    tokens = tokens_in(value)
    assert tokens.refresh_token is not None
    async with shop.office.database.sessions.begin() as session:
        for table in ("audit_events", "external_sources", "change_requests"):
            kept = str((await session.execute(text(f"SELECT * FROM {table}"))).all())  # noqa: S608
            assert tokens.access_token not in kept
            assert tokens.refresh_token not in kept
        found = (
            await events(session, PageRequest(), AuditFilter(action=Action.SOURCE_SIGNED_IN))
        ).items
    [signed_in] = found
    assert (signed_in.actor, signed_in.facts["issuer"]) == (ADA.label, shop.issuer)


async def test_tokens_are_renewed_once_however_many_ask(shop: Shop) -> None:
    source = await shop.signed_in()
    stale = await shop.value(source)
    tokens = [SourceTokens(shop.office.database.sessions, VAULT) for _ in range(3)]
    renewed = await asyncio.gather(*(one.renewed(source.id, stale) for one in tokens))

    assert len({value.get_secret_value() for value in renewed}) == 1
    assert renewed[0] == await shop.value(source) != stale
    endpoint = source.endpoint
    assert isinstance(endpoint, HttpEndpoint)
    await Reader().list_tools(endpoint, renewed[0], allow_private=True)
    again = await tokens[0].renewed(source.id, renewed[0])
    assert tokens_in(again).access_token != tokens_in(renewed[0]).access_token


async def test_a_sign_in_that_ended_says_that_a_person_has_to_come_back(shop: Shop) -> None:
    source = await shop.signed_in()
    value = await shop.value(source)
    spent = tokens_in(value).model_copy(update={"refresh_token": "spent"}).sealed_form
    await shop.office.secrets.set_value(ADA, source.server_id, "SIGN_IN", spent)

    with pytest.raises(SourceFailed, match="signs in again"):
        await SourceTokens(shop.office.database.sessions, VAULT).renewed(source.id, spent)
    assert await shop.value(source) == spent


async def test_tokens_go_to_no_host_that_the_secret_is_not_bound_to(shop: Shop) -> None:
    source = await shop.added(shop.hosts[0])

    with pytest.raises(Refused, match=shop.hosts[1]):
        await shop.signing_in.begin(ADA, source.id, CALLBACK)


async def test_only_whoever_may_set_secrets_and_began_it_ends_a_sign_in(shop: Shop) -> None:
    source = await shop.added(*shop.hosts)
    with pytest.raises(Refused):
        await shop.signing_in.begin(ANA, source.id, CALLBACK)
    state, code, iss = await shop.at_the_provider(source)

    other = ADA.model_copy(update={"name": "eve"})
    with pytest.raises(Invalid, match="did not begin"):
        await shop.signing_in.finish(other, state, code, iss)
    with pytest.raises(Invalid, match="did not begin"):
        await shop.signing_in.finish(ADA, state[:-2] + "AA", code, iss)
    with pytest.raises(SourceFailed, match="Another server"):
        await shop.signing_in.finish(ADA, state, code, "https://evil.example.com")
    with pytest.raises(SourceFailed, match="Another server"):
        await shop.signing_in.finish(ADA, state, code, None)
    await shop.signing_in.finish(ADA, state, code, iss)


async def test_a_client_that_was_registered_by_hand_is_sent_along(shop: Shop) -> None:
    source = await shop.added(*shop.hosts)
    address = await shop.signing_in.begin(ADA, source.id, CALLBACK, client_id="ours")

    query = parse_qs(urlsplit(address).query)
    assert query["client_id"] == ["ours"]
    assert query["resource"] == [shop.source.url]
    assert query["code_challenge_method"] == ["S256"]
