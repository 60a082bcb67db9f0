"""What tools answer and print, without the secrets in it, before anybody sees or keeps it."""

from mcpbox.domain.review_policy import Redaction, SecuritySettings
from mcpbox.policies.redaction import Redactor
from mcpbox.sandbox_client import OnOutput
from sandbox.contract import RunResult


def redactor_for(settings: SecuritySettings) -> Redactor | None:
    if settings.redact_secrets_in_output is Redaction.DISABLED:
        return None
    return Redactor(prefixes=settings.redact_prefixes)


class RedactedOutput:
    """What a run prints, on its way out: a line is held back until it is whole."""

    def __init__(self, redactor: Redactor, tell: OnOutput) -> None:
        self._redactor = redactor
        self._tell = tell
        self._held = ""

    async def __call__(self, text: str) -> None:
        whole, end_of_line, self._held = (self._held + text).rpartition("\n")
        if end_of_line:
            await self._tell(self._redactor.text(whole) + end_of_line)

    async def flush(self) -> None:
        held, self._held = self._held, ""
        if held:
            await self._tell(self._redactor.text(held))


def cut_from(redactor: Redactor, run: RunResult) -> RunResult:
    """Before it is shown or kept, so that no place shows more than another."""
    error = run.error
    if error is not None:
        error = error.model_copy(update={"message": redactor.text(error.message)})
    return run.model_copy(
        update={
            "result": redactor.json(run.result),
            "stdout": redactor.text(run.stdout),
            "error": error,
        }
    )
