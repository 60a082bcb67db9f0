"""One declaration per management tool: pydantic model → JSON Schema → checked call."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import cleandoc
from typing import Annotated, Any, Generic, TypeVar

from mcp_types import CallToolResult, Icon, InputRequiredResult, Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, ErrorDetails

from gateway.answers import answered, failed, failure
from gateway.calls import Calls
from gateway.catalog import Catalog
from gateway.invitation import Invitation
from gateway.line import Line
from gateway.released import as_sent
from mcpbox.domain.errors import DomainError, Refused
from mcpbox.domain.ids import RequestId
from mcpbox.domain.people import Principal, Scope
from mcpbox.domain.review_policy import SecuritySettings
from mcpbox.domain.texts import Text
from mcpbox.domain.tools import NAME_MAX_LENGTH, NAME_PATTERN
from mcpbox.news import RequestNews
from mcpbox.policies.editing import may_edit
from mcpbox.policies.ruling import ALLOWED, Ruling
from mcpbox.sandbox_client import OnOutput
from mcpbox.usecases.development import Development
from mcpbox.usecases.executions import Executions
from mcpbox.usecases.external_sources import Sources
from mcpbox.usecases.network import Network
from mcpbox.usecases.releases import Releases
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.secrets import Secrets
from mcpbox.usecases.server_deletion import ServerDeletion
from mcpbox.usecases.servers import Servers
from mcpbox.usecases.tools import Tools

DESCRIPTION_MAX_LENGTH = 2000
Answer = CallToolResult | InputRequiredResult
"""The latter asks the client for something first; it calls again."""


@dataclass(frozen=True, slots=True)
class UseCases:
    servers: Servers
    deletion: ServerDeletion
    tools: Tools
    development: Development
    executions: Executions
    requests: Requests
    network: Network
    releases: Releases
    secrets: Secrets
    sources: Sources


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and with which use cases; never global state."""

    line: Line
    use_cases: UseCases
    on_output: OnOutput | None
    """Where the client wants to be told what its code prints."""
    settings: SecuritySettings
    catalog: Catalog
    calls: Calls
    news: RequestNews
    """Of requests that move, for those who wait."""
    invitation: Invitation
    panel_url: str

    def review_url(self, request_id: RequestId) -> str:
        """Where people decide on it."""
        return f"{self.panel_url}/approvals?id={request_id}"

    @property
    def principal(self) -> Principal:
        return self.line.principal


class ToolInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ToolOutput(BaseModel):
    """Fields are only added: clients keep the schema that they were told once."""

    next: str = Field(default="", description="What to do next.")


class Done(ToolOutput):
    success: bool = True
    message: str


Name = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
        max_length=NAME_MAX_LENGTH,
        description="Lower-case letters, digits and _, beginning with a letter.",
    ),
]
Description = Annotated[Text, Field(max_length=DESCRIPTION_MAX_LENGTH)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000, description="Counted from 1.")]
PageSize = Annotated[int, Field(ge=1, le=100)]

In = TypeVar("In", bound=ToolInput)
Out = TypeVar("Out", bound=ToolOutput)


@dataclass(frozen=True)
class ToolDefinition(Generic[In, Out]):
    """``run``'s docstring is what a model reads: when to use the tool and what comes next."""

    name: str
    title: str
    takes: type[In]
    gives: type[Out] | None
    """``None``: it answers as another tool did, in the form of that tool."""
    run: Callable[[Caller, In], Awaitable[Out | Answer]]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
    edits: bool = False
    """It makes, changes or deletes a tool or a server: not over every line."""
    scope: Scope = Scope.AUTHOR
    icons: list[Icon] | None = None

    @cached_property
    def listing(self) -> Tool:
        return Tool(
            name=self.name,
            title=self.title,
            description=cleandoc(self.run.__doc__ or ""),
            input_schema=_schema_of(self.takes, mode="validation"),
            output_schema=_schema_of(self.gives, mode="serialization") if self.gives else None,
            icons=self.icons,
            annotations=ToolAnnotations(
                read_only_hint=self.read_only,
                destructive_hint=self.destructive,
                idempotent_hint=self.idempotent or self.read_only,
                open_world_hint=self.open_world,
            ),
        )

    @cached_property
    def listed(self) -> Mapping[str, Any]:
        """The listing as it is sent."""
        return as_sent(self.listing)

    def may_use(self, line: Line, settings: SecuritySettings) -> Ruling:
        if self.scope in line.principal.scopes:
            return may_edit(settings, remote=line.remote) if self.edits else ALLOWED
        return Ruling(
            Refused(
                f"This client's token lacks the scope {self.scope.value!r}, which {self.name} "
                "needs; ask the operator for a client with it (mcpbox clients create)."
            )
        )

    async def call(self, caller: Caller, arguments: dict[str, Any]) -> Answer:
        """Tell the model about bad input and refusals; a bug stays an exception."""
        try:
            self.may_use(caller.line, caller.settings).require()
            given = self.takes.model_validate(arguments)
            output = await self.run(caller, given)
        except ValidationError as error:
            if error.title != self.takes.__name__:
                raise
            return self._told_what_is_wrong(error)
        except DomainError as error:
            return failed(error)
        return output if isinstance(output, Answer) else answered(output)

    def _told_what_is_wrong(self, error: ValidationError) -> CallToolResult:
        problems = [
            {"field": _path(detail), "message": self._advice(detail)}
            for detail in error.errors(include_url=False, include_input=False)
        ]
        message = f"{self.name} was not run. " + " ".join(
            f"{problem['field']} {problem['message'].rstrip('.')}." for problem in problems
        )
        return failure("invalid_arguments", message, problems=problems)

    def _advice(self, detail: ErrorDetails) -> str:
        properties: dict[str, dict[str, Any]] = self.listing.input_schema.get("properties", {})
        match detail["type"]:
            case "missing":
                about = properties.get(str(detail["loc"][0]), {}).get("description", "")
                return f"is required: {about}" if about else "is required"
            case "extra_forbidden":
                known = ", ".join(properties) or "no parameters"
                return f"is not a parameter; this tool takes {known}"
            case "string_pattern_mismatch":
                return (
                    "must begin with a lower-case letter and contain nothing but lower-case "
                    "letters, digits and _"
                )
            case "uuid_parsing" | "uuid_type" | "uuid_version":
                return "must be a UUID; copy it from the answer of a list tool"
            case "value_error":
                return detail["msg"].removeprefix("Value error, ")
            case _:
                return "is wrong: " + detail["msg"].replace("Input should", "it should")


AnyTool = ToolDefinition[Any, Any]


def drawn(icon: list[Icon], tools: Iterable[AnyTool]) -> list[AnyTool]:
    """The same tools, with the icon of what they are about."""
    return [replace(tool, icons=icon) for tool in tools]


def by_name(tools: Iterable[AnyTool]) -> dict[str, AnyTool]:
    """Index tools; a reused name is a programming error, not a silent override."""
    index: dict[str, AnyTool] = {}
    for tool in tools:
        if tool.name in index:
            raise ValueError(f"tool {tool.name!r} is declared twice")
        index[tool.name] = tool
    return index


def _path(detail: ErrorDetails) -> str:
    return ".".join(str(part) for part in detail["loc"]) or "arguments"


class _PlainSchema(GenerateJsonSchema):
    """Without the titles that pydantic makes of field names: a model reads every word we send."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> dict[str, Any]:
        generated = super().generate(schema, mode)
        for part in (generated, *generated.get("$defs", {}).values()):
            part.pop("title", None)
            part.pop("description", None)
        return generated


def _schema_of(model: type[BaseModel], *, mode: Any) -> dict[str, Any]:
    return model.model_json_schema(mode=mode, schema_generator=_PlainSchema)
