"""Approval receipts: what people approved, as the sandbox is shown it, and whether it holds."""

from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import DomainError, Invalid, NotFound
from mcpbox.domain.ids import ToolId
from mcpbox.domain.receipts import Approved, ReleaseReceipt
from mcpbox.receipts import ReceiptSigner, key_ids_of, unverified
from mcpbox.store import releases, tools
from mcpbox.store.session import Sessions, reading
from mcpbox.store.tables.tools import VersionRow


class Receipts:
    def __init__(self, sessions: Sessions, signer: ReceiptSigner) -> None:
        self._sessions = sessions
        self._signer = signer

    async def of_tool(self, tool_id: ToolId) -> ReleaseReceipt:
        """Of its active release. Raises: NotFound: no such tool, or no release with a receipt."""
        async with reading(self._sessions) as session:
            await tools.get_tool(session, tool_id)
            found = await releases.find_active(session, tool_id)
        if found is None or found[0].receipt is None:
            raise NotFound("receipt of tool", tool_id)
        release, version = found
        envelope = release.receipt or ""
        problem = self._problem(envelope, version)
        approved, key_ids = _read(envelope)
        return ReleaseReceipt(
            tool_id=tool_id,
            version_number=version.number,
            valid=not problem,
            problem=problem,
            key_ids=key_ids,
            approved=approved,
            envelope=envelope,
        )

    def _problem(self, envelope: str, version: VersionRow) -> str:
        try:
            receipt = self._signer.opened(envelope)
        except DomainError as error:
            return str(error)
        if receipt.digest != digest_of(tools.content_of(version)):
            return "It is for another version than the one that is released."
        return ""


def _read(envelope: str) -> tuple[Approved | None, tuple[str, ...]]:
    try:
        said = unverified(envelope).model_dump(include=set(Approved.model_fields))
        return Approved.model_validate(said), key_ids_of(envelope)
    except Invalid:
        return None, ()
