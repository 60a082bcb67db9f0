"""Management tools about secrets: names and placeholders; no value passes through here (I6)."""

from pydantic import BaseModel, Field

from gateway.definition import Caller, Done, ToolDefinition, ToolInput, ToolOutput
from mcpbox.domain.ids import RequestId, ServerId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import State
from mcpbox.domain.secrets import HOSTS_MAX, NAME_MAX_LENGTH, Secret
from mcpbox.domain.subjects import Days
from mcpbox.domain.texts import Text

_SERVER = "The server's id, from mcpbox_list_servers."
_NAME = "Capital letters, digits and _: WEATHER_API_KEY."


class SecretView(BaseModel):
    name: str
    hosts: list[str] = Field(description="Where its value may be sent.")
    is_set: bool = Field(description="A person has set its value.")
    may_be_used: bool = Field(description="People let this server's tools use it.")

    @classmethod
    def of(cls, secret: Secret) -> "SecretView":
        return cls(
            name=secret.name,
            hosts=list(secret.hosts),
            is_set=secret.is_set,
            may_be_used=secret.is_granted,
        )


class CreateSecretInput(ToolInput):
    server_id: ServerId = Field(description=_SERVER)
    name: Text = Field(min_length=1, max_length=NAME_MAX_LENGTH, description=_NAME)
    hosts: list[Text] = Field(
        min_length=1,
        max_length=HOSTS_MAX,
        description="Where its value may be sent, each host or host:port; it goes nowhere else.",
    )


class CreatedSecret(Done):
    secret: SecretView


async def create_server_secret(caller: Caller, given: CreateSecretInput) -> CreatedSecret:
    """Make a placeholder for a secret of a server: a name, and the hosts it may be sent to.

    Never ask anybody to tell you its value: a person sets that in the panel. Code writes
    secrets["NAME"] where the value belongs, in a header for instance, and gets a stand-in, which is
    replaced on the way to one of these hosts.
    """
    secret = await caller.use_cases.secrets.create(
        caller.principal, given.server_id, given.name, list(given.hosts)
    )
    return CreatedSecret(
        secret=SecretView.of(secret),
        message=f"The secret {secret.name!r} has a place; it has no value yet.",
        next="Ask that it may be used with mcpbox_request_secret; a person sets the value.",
    )


class ListSecretsInput(ToolInput):
    server_id: ServerId = Field(description=_SERVER)


class ListSecretsOutput(ToolOutput):
    secrets: list[SecretView] = Field(description="By name.")


async def list_server_secrets(caller: Caller, given: ListSecretsInput) -> ListSecretsOutput:
    """List the secrets of a server by name: where each may be sent, and whether it is set."""
    found = await caller.use_cases.secrets.list(given.server_id)
    return ListSecretsOutput(
        secrets=[SecretView.of(secret) for secret in found],
        next="Make a place for another one with mcpbox_create_server_secret.",
    )


class RequestSecretInput(ToolInput):
    server_id: ServerId = Field(description=_SERVER)
    name: Text = Field(min_length=1, max_length=NAME_MAX_LENGTH, description=_NAME)
    days: Days | None = Field(
        default=None, description="How long it is needed; left out, until somebody revokes it."
    )
    notes: Text = Field(
        min_length=1,
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: what the tools do with it. Never its value.",
    )


class RequestedSecret(Done):
    request_id: RequestId
    name: str
    state: State


async def request_secret(caller: Caller, given: RequestSecretInput) -> RequestedSecret:
    """Ask people to let a server's tools use one of its secrets.

    mcpbox_request_publish asks for the secrets that a tool's code names as well, where they have a
    placeholder.
    """
    request = await caller.use_cases.secrets.request(
        caller.principal,
        given.server_id,
        given.name,
        days=given.days,
        justification=given.notes,
    )
    return RequestedSecret(
        request_id=request.id,
        name=given.name,
        state=request.state,
        message=f"The secret {given.name!r} was asked for.",
        next=(
            "A person has to decide; follow it with mcpbox_list_pending_requests, and with "
            "include_finished once it has left that list."
        ),
    )


SECRET_TOOLS = (
    ToolDefinition(
        "mcpbox_create_server_secret",
        "Make a place for a secret",
        CreateSecretInput,
        CreatedSecret,
        create_server_secret,
    ),
    ToolDefinition(
        "mcpbox_list_server_secrets",
        "List a server's secrets",
        ListSecretsInput,
        ListSecretsOutput,
        list_server_secrets,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_request_secret",
        "Ask for a secret",
        RequestSecretInput,
        RequestedSecret,
        request_secret,
        idempotent=True,
    ),
)
