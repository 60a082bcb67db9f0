"""``mcpbox requests``: what waits is found, read and decided on the command line."""

import json

from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer


async def test_a_request_is_listed_read_and_approved_on_the_command_line(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
        request_id = await author.ask(draft, sample_arguments={"a": 1})
        waiting = await reviewer.when(request_id, "awaiting_decision")

        listed = json.loads(instance.command("requests", "list", "--json").stdout)
        assert request_id in [request["id"] for request in listed["items"]]
        shown = instance.command("requests", "show", request_id).stdout
        assert waiting["digest"] in shown
        assert "+async def main(a: int, b: int = 2)" in shown

        digest = waiting["digest"][:20]
        approved = instance.command("requests", "approve", request_id, "--digest", digest)

        assert approved.returncode == 0, approved.stderr
        decided = await reviewer.request(request_id)
        assert [decision["channel"] for decision in decided["decisions"]] == ["cli"]
        assert await author.call(draft.callable_name, a=1) == {"sum": 3}


async def test_what_may_not_be_decided_is_said_by_sentence_and_exit_code(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft())
    digest = (await reviewer.when(request_id, "awaiting_decision"))["digest"]

    def decide(*arguments: str) -> tuple[int, str]:
        done = instance.command("requests", *arguments)
        return done.returncode, done.stderr

    assert decide("approve", request_id, "--digest", "0" * 64)[0] == 5
    assert decide("approve", request_id, "--digest", "123")[0] == 2
    assert decide("deny", request_id, "--digest", digest, "--reason", " ")[0] == 2
    assert decide("approve", request_id, "--digest", digest, "--as", "nobody")[0] == 4
    code, said = decide("show", "00000000-0000-0000-0000-000000000000")
    assert (code, "There is no request" in said) == (4, True)
    assert "Traceback" not in said
