"""A command that changed is noticed, on paths that nobody recorded as well."""

import pytest

from tests.replay import fingerprints
from tests.replay.fingerprints import commands_of, differences, functions_of, main, pinned, present

ASKS = '''
NONE = 0

class Asks:
    async def run(self, start: Start) -> None:
        """Waits, then does it."""
        if self.hurried():
            return
        await self.wait(start.until)
        await workflow.execute_activity_method(StoreActivities.keep, start)

    async def wait(self, until):
        # As long as it takes.
        await workflow.sleep(until - workflow.now(), summary="a while")
        workflow.logger.info("waited")

    def hurried(self) -> bool:
        return self.patience < NONE

    def words(self) -> str:
        return "Waits."
'''


def test_no_workflow_gives_other_commands_than_runs_in_flight_expect() -> None:
    found = differences(pinned(), present())

    assert not found, (
        f"{', '.join(found)} differ: requests that wait while MCPbox is updated could be stuck. "
        "Put the change behind workflow.patched(…), record the new path beside the old one (pytest "
        "tests/integration/requests/test_paths.py --record), then run: python -m "
        "tests.replay.fingerprints (--anew, if no older run is in flight anywhere)."
    )


def test_every_function_that_leads_to_a_command_is_watched() -> None:
    watched = functions_of({"asks": ASKS})["asks"]

    assert set(watched) == {"Asks.run", "Asks.wait", "Asks.hurried", "NONE"}
    found = present().functions
    assert {"RequestLife._live", "RequestLife._apply", "RequestLife._next_alarm"} <= set(
        found["request_life"]
    )
    assert {"ROUNDS_PER_RUN", "RequestState._wants_a_new_run"} <= set(found["request_state"])
    assert {"STRATEGIES", "strategy_of"} <= set(found["kinds"])
    assert "details" not in found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("        if self.hurried():\n            return\n", ""),
        ("if self.hurried()", "if not self.hurried()"),
        ("patience < NONE", "patience > NONE"),
        ("NONE = 0", "NONE = 2"),
        ("StoreActivities.keep", "StoreActivities.drop"),
        ("        await self.wait(start.until)\n", ""),
        (
            "await workflow.sleep(until",
            "await workflow.sleep(1)\n        await workflow.sleep(until",
        ),
    ],
)
def test_another_command_is_another_fingerprint(before: str, after: str) -> None:
    assert before in ASKS

    assert functions_of({"asks": ASKS.replace(before, after)}) != functions_of({"asks": ASKS})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""Waits, then does it."""', '"""Does it after a while."""'),
        ("        # As long as it takes.\n", "\n"),
        ('"a while"', '"some time"'),
        ('"waited"', '"has waited"'),
        ("start: Start", "start: StartRequest"),
        ('return "Waits."', 'return "Does."'),
        ("keep, start)", "keep, Kept(start), retry_policy=PATIENT)"),
    ],
)
def test_words_types_and_inputs_are_no_part_of_it(before: str, after: str) -> None:
    assert before in ASKS

    assert functions_of({"asks": ASKS.replace(before, after)}) == functions_of({"asks": ASKS})


def test_the_commands_of_a_history_are_those_of_the_workflow_alone() -> None:
    def event(kind: str, **more: object) -> dict[str, object]:
        return {"eventType": f"EVENT_TYPE_{kind}", "someEventAttributes": more}

    history = {
        "events": [
            event("WORKFLOW_EXECUTION_STARTED"),
            event("WORKFLOW_TASK_COMPLETED"),
            event("ACTIVITY_TASK_SCHEDULED", activityType={"name": "open_request"}),
            event("ACTIVITY_TASK_COMPLETED"),
            event("TIMER_STARTED"),
            event("TIMER_FIRED"),
            event("WORKFLOW_EXECUTION_COMPLETED"),
        ]
    }

    assert commands_of(history) == [
        "ACTIVITY_TASK_SCHEDULED open_request",
        "TIMER_STARTED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


def test_a_change_is_accepted_with_a_patch_and_with_the_older_histories_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = present()
    changed = {"change_request": {**now.functions["change_request"], "Some.other": "0" * 16}}
    before = now.model_copy(update={"functions": now.functions | changed})
    kept: list[str] = []

    class Kept:
        exists = staticmethod(lambda: True)
        read_text = staticmethod(before.model_dump_json)
        write_text = staticmethod(kept.append)

    monkeypatch.setattr(fingerprints, "PINNED", Kept)
    assert main([]) == 1
    assert "workflow.patched" in capsys.readouterr().err

    with_patch = now.model_copy(update={"patches": (*now.patches, "ask-first")})
    monkeypatch.setattr(fingerprints, "present", lambda: with_patch)
    assert main([]) == 0

    recorded_anew = with_patch.model_copy(update={"histories": {"applied": "0" * 16}})
    monkeypatch.setattr(fingerprints, "present", lambda: recorded_anew)
    assert main([]) == 1
    assert "under another name" in capsys.readouterr().err
    assert main(["--anew"]) == 0
    assert len(kept) == 2
