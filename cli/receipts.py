"""``mcpbox receipts``: the key that a sandbox has to know, and what a receipt says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.configuration import load_settings
from cli.instance import Instance
from cli.output import echo, echo_json, errors_reported
from mcpbox.domain.errors import Invalid, NotFound

if TYPE_CHECKING:
    from sandbox.contract import Receipt

app = typer.Typer(no_args_is_help=True, help="The signed approvals that the sandbox asks for.")

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
_MAX_BYTES = 2**20


@app.command(name="public-key")
def public_key(*, json: Json = False) -> None:
    """Print what a sandbox elsewhere needs as MCPBOX_SANDBOX_RECEIPT_KEYS; it is no secret."""
    with errors_reported():
        key = Instance(load_settings()).receipt_key()
        if json:
            echo_json({"public_key": key})
            return
        echo(key)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="As downloaded from the panel.")],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Public key of the instance that signed, as its `mcpbox receipts public-key` "
            "prints it; may be repeated. Left out: this instance's."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say what a receipt approves, if the key signed it; else end with code 3."""
    # Only here, for every other command loads this module too and should start fast.
    from mcpbox.dsse import public_key_of
    from mcpbox.receipts import ReceiptSigner, receipt_signed_by

    with errors_reported():
        envelope = _text_of(file)
        if key:
            receipt = receipt_signed_by([public_key_of(one) for one in key], envelope)
        else:
            receipt = ReceiptSigner(Instance(load_settings()).encryption_key()).opened(envelope)
        if json:
            echo_json(receipt.model_dump(mode="json"))
            return
        echo("Signed with the given key." if key else "Signed by this instance.")
        _show(receipt)


def _text_of(file: Path) -> str:
    """Raises: NotFound; Invalid."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode()
    except FileNotFoundError:
        raise NotFound("file", file) from None
    except (OSError, UnicodeDecodeError):
        raise Invalid(f"{file} cannot be read as text.") from None


def _show(receipt: "Receipt") -> None:
    echo(f"approved   by {', '.join(receipt.approved_by)} at {receipt.approved_at.isoformat()}")
    echo(f"digest     {receipt.digest}")
    echo(f"code       sha256:{receipt.code_sha256}")
    echo(f"server     {receipt.server}")
    echo(f"tool       {receipt.tool}")
    echo(f"request    {receipt.request}")
    for noun, grants in (("host", receipt.hosts), ("module", receipt.modules)):
        for grant in grants:
            until = f" until {grant.until.isoformat()}" if grant.until else ""
            echo(f"{noun:<10} {grant.value}{until}")
    for name in receipt.secret_names:
        echo(f"secret     {name}")
