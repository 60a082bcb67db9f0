"""Management tools to try code before anybody is asked to approve it."""

from typing import Any

from pydantic import AliasChoices, Field

from gateway.definition import Caller, ToolDefinition, ToolInput, ToolOutput
from gateway.findings import FindingView
from mcpbox.domain.errors import Problem, Refused
from mcpbox.domain.evidence import Check
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.sources import Parameter
from mcpbox.domain.texts import JsonObject, Text


class ValidateCodeInput(ToolInput):
    code: Text = Field(
        validation_alias=AliasChoices("code", "python_code"),
        description="Python with an `async def main(...)`.",
    )
    server_id: ServerId | None = Field(
        default=None,
        description="The server it is meant for: modules granted to it then count as available.",
    )


class ValidateCodeOutput(ToolOutput):
    valid: bool
    has_main: bool
    problems: list[Problem] = Field(description="In source order; lines and columns count from 1.")
    parameters: list[Parameter]
    input_schema: dict[str, Any] = Field(description="Read from the signature of main.")
    hosts: list[str] = Field(description="Hosts that the code needs a grant for.")
    modules: list[str]
    secrets: list[str] = Field(description="Names of the secrets that the code reads.")
    findings: list[FindingView] = Field(
        description="What reviewers will be shown of it; it may be saved all the same."
    )
    guard_checked: bool = Field(
        description="false: the sandbox did not answer, so its rules were not checked."
    )


async def validate_code(caller: Caller, given: ValidateCodeInput) -> ValidateCodeOutput:
    """Check code without running or saving it: syntax, main, the sandbox's rules, the schema.

    Every problem is reported at once, with its line; so is what reviewers will be shown of it.
    """
    report = await caller.use_cases.development.validate(given.code, given.server_id)
    return ValidateCodeOutput(
        valid=report.valid,
        has_main=report.has_main,
        problems=list(report.problems),
        parameters=list(report.parameters),
        input_schema=report.input_schema,
        hosts=list(report.manifest.hosts),
        modules=list(report.manifest.modules),
        secrets=list(report.manifest.secret_names),
        findings=[FindingView.of(Check.STATIC, finding) for finding in report.findings],
        guard_checked=report.guard_checked,
        next=(
            "Save it with mcpbox_create_tool or mcpbox_update_tool."
            if report.valid
            else "Mend every problem, then validate again."
        ),
    )


class CodeTrialInput(ToolInput):
    tool_id: ToolId = Field(description="The tool's id, from mcpbox_list_tools.")
    arguments: JsonObject = Field(
        default_factory=dict, description="For main, as a client would give them."
    )


class CodeTrialOutput(ToolOutput):
    success: bool
    outcome: ExecutionOutcome
    result: Any = None
    error: str
    stdout: str
    duration_ms: float
    egress: list[str] = Field(description="What the code tried to reach, one line a request.")


async def test_code(caller: Caller, given: CodeTrialInput) -> CodeTrialOutput:
    """Run a tool's newest version in the sandbox, approved or not, and see result and output.

    It runs exactly as a released tool does, but with granted hosts only and without secrets.
    """
    with caller.line.held() as scope:
        async with caller.calls.turn(caller.line):
            trial = await caller.use_cases.development.trial(
                caller.principal, given.tool_id, given.arguments, caller.on_output
            )
    if scope.cancelled_caught:
        raise Refused("The client went away, so the run was cancelled.")
    success = trial.outcome is ExecutionOutcome.OK
    return CodeTrialOutput(
        success=success,
        outcome=trial.outcome,
        result=trial.result,
        error=trial.error,
        stdout=trial.stdout,
        duration_ms=trial.duration_ms,
        egress=list(trial.egress),
        next=(
            "When it does what it should, ask with mcpbox_request_publish; give these arguments "
            "as sample_arguments."
            if success
            else "Change the code with mcpbox_update_tool and try again."
        ),
    )


DEVELOPMENT_TOOLS = (
    ToolDefinition(
        "mcpbox_test_code",
        "Try a tool",
        CodeTrialInput,
        CodeTrialOutput,
        test_code,
    ),
    ToolDefinition(
        "mcpbox_validate_code",
        "Check code",
        ValidateCodeInput,
        ValidateCodeOutput,
        validate_code,
        read_only=True,
    ),
)
