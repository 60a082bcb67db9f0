"""External sources: other MCP servers, what they offer, and asking that clients may call it."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.external_sources import ExternalSource, ImportedOffer, SourceDetail, SourceNeed
from mcpbox.domain.hosts import HOST_MAX_LENGTH
from mcpbox.domain.ids import SourceId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.secrets import HOSTS_MAX, VALUE_MAX_LENGTH
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import NAME_MAX_LENGTH, NAME_PATTERN
from mcpbox.domain.upstreams import TOOL_NAME_MAX_LENGTH, Endpoint
from mcpbox.usecases.external_sources import IMPORTED_MAX
from mcpbox.usecases.names import DESCRIPTION_MAX_LENGTH

router = APIRouter(prefix="/sources", tags=["sources"])
Words = Annotated[Text, Field(max_length=REASON_MAX_LENGTH)]


class SourceDraft(BaseModel):
    name: Annotated[Text, Field(pattern=NAME_PATTERN, max_length=NAME_MAX_LENGTH)]
    """Of the server that is made for it."""
    description: Annotated[Text, Field(max_length=DESCRIPTION_MAX_LENGTH)] = ""
    endpoint: Endpoint


class Asking(BaseModel):
    notes: Annotated[Words, Field(min_length=1)]
    """For the reviewer: what the source is for."""
    sign_in_hosts: Annotated[
        list[Annotated[Text, Field(max_length=HOST_MAX_LENGTH)]], Field(max_length=HOSTS_MAX - 1)
    ] = []
    """Where people sign in for it, if not at its own host."""


class SignIn(BaseModel):
    """Of a client that somebody registered at the source; left out, one is registered."""

    model_config = ConfigDict(hide_input_in_errors=True)

    client_id: Annotated[Text, Field(min_length=1, max_length=2000)] | None = None
    client_secret: Annotated[SecretStr, Field(max_length=VALUE_MAX_LENGTH)] | None = None


class SignInAddress(BaseModel):
    address: str


class SignInAnswer(BaseModel):
    """As the source's authorization server sent them along."""

    model_config = ConfigDict(hide_input_in_errors=True)

    state: Annotated[Text, Field(min_length=1, max_length=16_384)]
    code: Annotated[Text, Field(min_length=1, max_length=8192)]
    iss: Annotated[Text, Field(max_length=2000)] | None = None


class Wish(BaseModel):
    names: Annotated[
        list[Annotated[Text, Field(max_length=TOOL_NAME_MAX_LENGTH)]],
        Field(min_length=1, max_length=IMPORTED_MAX),
    ]
    notes: Words = ""
    """For the reviewer."""


class Consent(BaseModel):
    allowed: bool
    reason: Words = ""


@router.get("", responses=problems())
async def list_sources(_: PersonDep, parts: PartsDep, page: PageDep) -> Page[ExternalSource]:
    """By name, each as it was when last looked at."""
    return await parts.sources.list(page)


@router.post("", status_code=201, responses=problems(Refused, Conflict, Invalid))
async def add_source(person: PersonDep, parts: PartsDep, draft: SourceDraft) -> SourceDetail:
    """With a server of its own; for operators and admins. It is reached once that is granted."""
    return await parts.sources.add(
        person, name=draft.name, description=draft.description, endpoint=draft.endpoint
    )


@router.get("/{source_id}", responses=problems(NotFound))
async def get_source(_: PersonDep, parts: PartsDep, source_id: SourceId) -> SourceDetail:
    """With what it offered last, and where each tool of it stands here."""
    return await parts.sources.get(source_id)


@router.get("/{source_id}/needs", responses=problems(NotFound))
async def list_needs(_: PersonDep, parts: PartsDep, source_id: SourceId) -> list[SourceNeed]:
    """What has to be granted before it is reached, and whether it is."""
    return await parts.source_needs.of(source_id)


@router.post("/{source_id}/needs", responses=problems(NotFound, Refused, Conflict, Invalid))
async def ask_for_needs(
    person: PersonDep, parts: PartsDep, source_id: SourceId, body: Asking
) -> list[SourceNeed]:
    """Ask people for all that is missing, a request for each; for operators and admins."""
    return await parts.source_needs.ask(
        person, source_id, notes=body.notes, sign_in_hosts=body.sign_in_hosts
    )


@router.post("/{source_id}/sign-in", responses=problems(NotFound, Refused, Invalid))
async def begin_sign_in(
    person: PersonDep, parts: PartsDep, source_id: SourceId, body: SignIn
) -> SignInAddress:
    """The address to go to, for a source that asks for OAuth; for operators and admins."""
    address = await parts.sign_in.begin(
        person,
        source_id,
        f"{parts.panel_url}/connected",
        client_id=body.client_id,
        client_secret=body.client_secret,
    )
    return SignInAddress(address=address)


@router.post("/sign-in", responses=problems(NotFound, Refused, Invalid))
async def finish_sign_in(person: PersonDep, parts: PartsDep, back: SignInAnswer) -> ExternalSource:
    """Whoever began it brings what they came back with; the tokens are kept, and never shown."""
    return await parts.sign_in.finish(person, back.state, back.code, back.iss)


@router.post("/{source_id}/check", responses=problems(NotFound))
async def check_source(_: PersonDep, parts: PartsDep, source_id: SourceId) -> SourceDetail:
    """Look at what it offers now; what is no longer what was approved is withdrawn at once."""
    return await parts.sources.check(source_id)


@router.post("/{source_id}/import", responses=problems(NotFound, Refused, Conflict, Invalid))
async def import_tools(
    person: PersonDep, parts: PartsDep, source_id: SourceId, wish: Wish
) -> list[ImportedOffer]:
    """Ask people about these tools, a request for each; for operators and admins."""
    found = await parts.sources.import_tools(person, source_id, wish.names, notes=wish.notes)
    return list(found)


@router.post("/{source_id}/allow-private", responses=problems(NotFound, Refused))
async def allow_private(
    person: PersonDep, parts: PartsDep, source_id: SourceId, consent: Consent
) -> SourceDetail:
    """Whether its address may be on a private network, and without TLS; for admins."""
    return await parts.sources.allow_private(
        person, source_id, allowed=consent.allowed, reason=consent.reason
    )
