"""``mcpbox demo`` plays the story against whatever runs."""

import json

from tests.instances import Installed


def test_the_demo_plays_every_step_and_leaves_nothing_to_call(instance: Installed) -> None:
    played = instance.command("demo", "--json")

    assert played.returncode == 0, played.stderr
    steps = [step["step"] for step in json.loads(played.stdout)["steps"]]
    assert steps[0] == "an LLM's MCP client connects to the gateway"
    assert "it calls the tool and gets the result" in steps
    assert steps[-1] == "it deletes the tool again"
    assert played.stderr == ""
