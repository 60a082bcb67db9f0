"""Management tools about third-party modules: what a server has, and to ask for one."""

from pydantic import BaseModel, Field

from gateway.definition import Caller, Done, ToolDefinition, ToolInput, ToolOutput
from mcpbox.domain.ids import RequestId, ServerId
from mcpbox.domain.modules import GrantedModule, Requirement
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import State
from mcpbox.domain.servers import ServerModules
from mcpbox.domain.subjects import Days
from mcpbox.domain.texts import Text
from sandbox.contract import DEFAULT_MODULES

_SERVER = "The server's id, from mcpbox_list_servers."
_NAME_MAX_LENGTH = 100


class RequestModuleInput(ToolInput):
    server_id: ServerId = Field(description=_SERVER)
    module: Text = Field(
        min_length=1,
        max_length=_NAME_MAX_LENGTH,
        description="What the code imports, without submodules: dateutil.",
    )
    package: Text = Field(
        default="",
        max_length=_NAME_MAX_LENGTH,
        description="Its package on PyPI where that has another name: python-dateutil.",
    )
    version: Text = Field(
        default="",
        max_length=2 * _NAME_MAX_LENGTH,
        description="A version specifier such as >=2.8,<3; left out, the newest is taken.",
    )
    days: Days | None = Field(
        default=None, description="How long it is needed; left out, until somebody revokes it."
    )
    notes: Text = Field(
        default="",
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: what needs it, and why no default module does.",
    )


class RequestedModule(Done):
    request_id: RequestId
    module: str
    package: str
    state: State


async def request_module(caller: Caller, given: RequestModuleInput) -> RequestedModule:
    """Ask people to let a server's tools import a module from PyPI.

    Look first at mcpbox_get_server_modules: many modules need no grant. Reviewers see the pinned
    packages, what they depend on, known vulnerabilities and facts about them. Once it is applied,
    every tool of the server may import the module, in mcpbox_test_code too.
    """
    requirement = Requirement(
        module=given.module, package=given.package or given.module, specifier=given.version
    )
    request = await caller.use_cases.requests.request_module(
        caller.principal, given.server_id, requirement, days=given.days, notes=given.notes
    )
    return RequestedModule(
        request_id=request.id,
        module=requirement.module,
        package=requirement.package,
        state=request.state,
        message=f"The module {requirement.module!r} was asked for.",
        next=(
            "A person has to decide; follow it with mcpbox_list_pending_requests, and with "
            "include_finished once it has left that list."
        ),
    )


class ServerModulesInput(ToolInput):
    server_id: ServerId = Field(description=_SERVER)


class GrantedModuleView(BaseModel):
    module: str
    package: str
    version: str = Field(description="The one that is installed.")

    @classmethod
    def of(cls, granted: GrantedModule) -> "GrantedModuleView":
        return cls(module=granted.module, package=granted.package, version=granted.version)


class ServerModulesView(BaseModel):
    default_modules: list[str] = Field(description="What every tool may import.")
    granted_modules: list[GrantedModuleView] = Field(description="What this server's may besides.")

    @classmethod
    def of(cls, modules: ServerModules) -> "ServerModulesView":
        return ServerModulesView(
            default_modules=sorted(DEFAULT_MODULES),
            granted_modules=[GrantedModuleView.of(one) for one in modules.granted],
        )


class ServerModulesOutput(ServerModulesView, ToolOutput): ...


async def get_server_modules(caller: Caller, given: ServerModulesInput) -> ServerModulesOutput:
    """List the modules that a server's tools may import: the default ones and the granted ones."""
    modules = await caller.use_cases.servers.modules(given.server_id)
    return ServerModulesOutput(
        **dict(ServerModulesView.of(modules)),
        next="Ask for another module with mcpbox_request_module.",
    )


MODULE_TOOLS = (
    ToolDefinition(
        "mcpbox_request_module",
        "Ask for a module",
        RequestModuleInput,
        RequestedModule,
        request_module,
        idempotent=True,
    ),
    ToolDefinition(
        "mcpbox_get_server_modules",
        "List a server's modules",
        ServerModulesInput,
        ServerModulesOutput,
        get_server_modules,
        read_only=True,
    ),
)
