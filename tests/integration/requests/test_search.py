"""Finding released tools by words, with Postgres' own full text search."""

from uuid import uuid4

from mcpbox.domain.ids import ServerId
from mcpbox.domain.requests import State
from tests.integration.requests.conftest import AUTHOR, Office

CODE = "async def main(a: int = 1) -> int:\n    return a\n"


async def test_released_tools_are_found_by_any_of_the_words_and_the_best_comes_first(
    office: Office,
) -> None:
    server = await office.servers.create(AUTHOR, name=f"s{uuid4().hex[:8]}", description="Money.")
    for name, description in (
        ("currency_converter", "Converts an amount at today's rate."),
        ("list_rates", "Lists the rate of every currency."),
        ("weather", "Tells how the weather will be."),
    ):
        tool = await office.tools.create(
            AUTHOR, ServerId(server.id), name=name, code=CODE, description=description
        )
        assert (await office.decide(await office.asked(tool))).state is State.APPLIED
    draft = await office.tools.create(
        AUTHOR, ServerId(server.id), name="converter", code=CODE, description="Not released."
    )

    async def found(words: str) -> list[str]:
        mine = f"{server.name}__"
        return [
            name.removeprefix(mine)
            for name in await office.tools.search(words)
            if name.startswith(mine)
        ]

    assert await found("convert currencies") == ["currency_converter", "list_rates"]
    assert await found("RATES") == ["list_rates", "currency_converter"]
    assert await found("something about the weather tomorrow") == ["weather"]
    assert draft.name not in await found("converter")
    for nothing in ("the of and", "'); DROP TABLE tools; --", "& | ! ( :*", "\\ ' \" %"):
        assert await found(nothing) == []
