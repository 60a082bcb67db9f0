"""What the worker signs: what people approved, with the grants that it needs."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select, update

from activities.receipts import reissue_receipts
from mcpbox.domain.base import utc_now
from mcpbox.domain.ids import ServerId
from mcpbox.domain.requests import State
from mcpbox.domain.tools import ToolDetail
from mcpbox.receipts import ReceiptSigner
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.tools import VersionRow
from sandbox.contract import Bundle, GrantedUntil, Receipt
from sandbox.receipts import Receipts, public_keys
from tests.integration.requests.conftest import Office
from tests.receipts import SIGNER

HOST = "api.example.com"
REACHES_OUT = f"""async def main() -> str:
    token = secrets["TOKEN"]
    return (await http.get("https://{HOST}/rates", headers={{"x": token}})).text
"""


async def released(office: Office) -> ToolDetail:
    tool = await office.draft(REACHES_OUT)
    outcome = await office.decide(await office.asked(tool))
    assert outcome.state is State.APPLIED, outcome
    return await office.tools.get(tool.id)


async def envelope_of(office: Office, tool: ToolDetail) -> str:
    async with office.database.sessions.begin() as session:
        found = select(ReleaseRow.receipt).where(ReleaseRow.tool_id == tool.id)
        return (await session.scalar(found)) or ""


async def receipt_of(office: Office, tool: ToolDetail) -> Receipt:
    return SIGNER.opened(await envelope_of(office, tool))


async def change(office: Office, table: Any, condition: Any, **values: Any) -> None:
    async with office.database.sessions.begin() as session:
        await session.execute(update(table).where(condition).values(**values))


async def reissue(office: Office, server_id: UUID, signer: ReceiptSigner = SIGNER) -> None:
    async with office.database.sessions.begin() as session:
        await reissue_receipts(session, signer, ServerId(server_id))


async def test_applying_signs_what_was_approved(office: Office) -> None:
    tool = await released(office)

    receipt = await receipt_of(office, tool)

    assert receipt.digest == tool.current.digest
    assert (receipt.server, receipt.tool) == (str(tool.server_id), str(tool.id))
    assert receipt.approved_by == ("ana",)
    assert receipt.hosts == (GrantedUntil(value=HOST),)
    assert receipt.secret_names == ("TOKEN",)


async def test_the_sandbox_accepts_what_the_worker_signed(office: Office) -> None:
    tool = await released(office)
    bundle = Bundle(
        code=REACHES_OUT,
        hosts=(HOST,),
        server=str(tool.server_id),
        receipt=await envelope_of(office, tool),
    )

    approval = Receipts(public_keys(SIGNER.public_key)).approval_of(bundle)

    approval.require(["TOKEN"], utc_now())


async def test_a_grant_that_was_given_an_end_is_signed_anew_with_it(office: Office) -> None:
    tool = await released(office)
    before = await receipt_of(office, tool)
    end = utc_now() + timedelta(days=1)
    await change(office, GrantRow, GrantRow.server_id == tool.server_id, expires_at=end)

    await reissue(office, tool.server_id)

    after = await receipt_of(office, tool)
    assert after.hosts == (GrantedUntil(value=HOST, until=end),)
    assert after.model_copy(update={"hosts": before.hosts}) == before


async def test_a_revoked_grant_is_signed_no_more(office: Office) -> None:
    tool = await released(office)
    await change(office, GrantRow, GrantRow.server_id == tool.server_id, revoked_at=utc_now())

    await reissue(office, tool.server_id)

    assert (await receipt_of(office, tool)).hosts == ()


async def test_code_that_was_changed_behind_our_back_is_not_signed(office: Office) -> None:
    """A change of grants must not turn what the rows say now into an approval."""
    tool = await released(office)
    before = await envelope_of(office, tool)
    await change(office, VersionRow, VersionRow.id == tool.current.id, code="async def main(): 1")
    await change(office, GrantRow, GrantRow.server_id == tool.server_id, revoked_at=utc_now())

    await reissue(office, tool.server_id)

    assert await envelope_of(office, tool) == before


async def test_an_approval_that_we_did_not_sign_is_not_signed_anew(office: Office) -> None:
    tool = await released(office)
    other = ReceiptSigner(SecretStr("07" * 32))
    theirs = other.sign(await receipt_of(office, tool))

    for receipt in (theirs, "{}", None):
        await change(office, ReleaseRow, ReleaseRow.tool_id == tool.id, receipt=receipt)
        await reissue(office, tool.server_id)
        assert await envelope_of(office, tool) == (receipt or "")


async def test_a_receipt_of_another_server_is_not_signed_for_this_one(office: Office) -> None:
    tool, other = await released(office), await released(office)
    theirs = await envelope_of(office, other)
    await change(office, GrantRow, GrantRow.server_id == other.server_id, revoked_at=utc_now())
    await change(office, ReleaseRow, ReleaseRow.tool_id == tool.id, receipt=theirs)

    await reissue(office, tool.server_id)

    assert await envelope_of(office, tool) == theirs
