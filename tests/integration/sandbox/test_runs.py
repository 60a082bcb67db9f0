"""The story: code is sent once, then called by key; what it returns, prints and raises is told."""

from sandbox.contract import (
    API_KEY_HEADER,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    ErrorKind,
)
from sandbox.service import MAX_RUN_BYTES
from tests.integration.sandbox.running import RunningService
from tests.receipts import released

ADD = """
async def main(left: int, right: int = 2):
    print("adding")
    return {"sum": left + right}
"""


async def test_a_tool_is_called_with_arguments_and_returns_json(service: RunningService) -> None:
    result = await service.run(ADD, {"left": 40})

    assert result.ok
    assert result.result == {"sum": 42}
    assert result.stdout == "adding\n"
    assert result.duration_ms > 0
    assert result.egress == ()


async def test_an_unknown_bundle_is_asked_for_and_then_remembered(service: RunningService) -> None:
    bundle = Bundle(code="async def main():\n    return 'known by now'\n")
    by_key = {"bundle_key": bundle.key, "trial": True}

    first = await service.client.post("/runs", json=by_key)
    sent = await service.client.post(
        "/runs", json={**by_key, "bundle": bundle.model_dump(mode="json")}
    )
    again = await service.client.post("/runs", json=by_key)

    assert first.status_code == UNKNOWN_BUNDLE_STATUS
    assert first.json()["title"] == "Unknown bundle"
    assert sent.json()["result"] == again.json()["result"] == "known by now"


async def test_a_bundle_under_a_foreign_key_is_refused(service: RunningService) -> None:
    honest = Bundle(code="async def main():\n    return 1\n")
    forged = Bundle(code="async def main():\n    return 2\n")

    response = await service.client.post(
        "/runs", json={"bundle_key": honest.key, "bundle": forged.model_dump(mode="json")}
    )

    assert response.status_code == 422
    assert "bundle_key" in response.json()["detail"]


async def test_a_wrong_key_is_refused_and_health_needs_none(service: RunningService) -> None:
    for path in ("/runs", "/checks"):
        for key in ("wrong", "", "ü"):
            headers = [(API_KEY_HEADER.encode(), key.encode())]
            response = await service.client.post(path, content=b"{", headers=headers)
            assert response.status_code == 401
            assert response.json()["title"] == "Not authenticated"

    health = await service.client.get("/health", headers={API_KEY_HEADER: ""})
    assert health.status_code == 200


async def test_bad_input_names_the_field(service: RunningService) -> None:
    wrong_field = await service.client.post(
        "/runs", json={"bundle_key": "x", "limits": {"cpu_s": 0}, "surprise": 1}
    )
    no_json = await service.client.post("/runs", content=b"{")

    assert wrong_field.status_code == no_json.status_code == 422
    assert "limits.cpu_s" in wrong_field.json()["detail"]
    assert "surprise" in wrong_field.json()["detail"]
    assert "Invalid JSON" in no_json.json()["detail"]


async def test_a_malformed_host_grant_is_refused(service: RunningService) -> None:
    bundle = released(Bundle(code=ADD, hosts=("http://example.org/path",)))

    response = await service.client.post(
        "/runs", json={"bundle_key": bundle.key, "bundle": bundle.model_dump(mode="json")}
    )

    assert response.status_code == 422
    assert "bundle.hosts" in response.json()["detail"]


async def test_a_body_over_the_limit_is_refused(service: RunningService) -> None:
    response = await service.client.post("/runs", content=b" " * (MAX_RUN_BYTES + 1))

    assert response.status_code == 413


async def test_an_unknown_path_is_a_problem_too(service: RunningService) -> None:
    response = await service.client.get("/nowhere")

    assert response.status_code == 404
    assert set(response.json()) == {"title", "detail"}


async def test_what_a_tool_raises_comes_back_with_its_line(service: RunningService) -> None:
    result = await service.run("async def main():\n    value = 1\n    return value / 0\n")

    assert not result.ok
    assert result.error is not None
    assert result.error.kind == ErrorKind.RAISED
    assert result.error.message == "ZeroDivisionError: division by zero"
    assert result.error.line == 3


async def test_a_missing_main_is_named(service: RunningService) -> None:
    result = await service.run("value = 1\n")

    assert result.error is not None
    assert result.error.kind == ErrorKind.RAISED
    assert "async def main" in result.error.message


async def test_a_plain_main_is_told_to_be_async(service: RunningService) -> None:
    result = await service.run("def main():\n    return 1\n")

    assert result.error is not None
    assert "async def" in result.error.message


async def test_wrong_argument_names_are_named_beside_the_right_ones(
    service: RunningService,
) -> None:
    result = await service.run(ADD, {"left": 1, "rihgt": 2})

    assert result.error is not None
    assert result.error.kind == ErrorKind.RAISED
    assert "'rihgt'" in result.error.message
    assert "left: int, right: int = 2" in result.error.message


async def test_secrets_are_there_and_empty(service: RunningService) -> None:
    result = await service.run("async def main():\n    return dict(secrets)\n")

    assert result.result == {}


async def test_no_path_of_the_host_is_told(service: RunningService) -> None:
    code = "import json\nasync def main():\n    raise ValueError(str(json.loads.__code__))\n"
    leaking = "async def main():\n    from json import nothing\n"

    rejected = await service.run(code)
    raised = await service.run(leaking)

    assert rejected.error is not None
    assert rejected.error.kind == ErrorKind.REJECTED
    assert raised.error is not None
    assert "/" not in raised.error.message


async def test_the_guard_refuses_before_anything_runs(service: RunningService) -> None:
    code = "import os\nprint('ran')\nasync def main():\n    return eval('1')\n"

    result = await service.run(code)

    assert result.error is not None
    assert result.error.kind == ErrorKind.REJECTED
    assert result.error.line == 1
    assert "`os`" in result.error.message
    assert "`eval`" in result.error.message
    assert result.stdout == ""


async def test_a_check_finds_everything_at_once(service: RunningService) -> None:
    checked = await service.check("import os\nasync def main():\n    return eval('1')\n")

    assert [(one.line, one.column) for one in checked.findings] == [(1, 1), (3, 12)]


async def test_a_check_survives_source_that_breaks_the_parser(service: RunningService) -> None:
    checked = await service.check("x = " + "-" * 150_000 + "1\n")

    assert len(checked.findings) == 1
    assert "nested" in checked.findings[0].message


async def test_a_granted_module_may_be_imported(service: RunningService) -> None:
    code = "import sched\nasync def main():\n    return sched.__name__\n"

    refused = await service.run(code)
    granted = await service.run(code, modules=("sched",))

    assert refused.error is not None
    assert refused.error.kind == ErrorKind.REJECTED
    assert granted.result == "sched"


async def test_health_tells_level_layers_and_children(service: RunningService) -> None:
    health = await service.health()

    assert health.ready
    assert health.level != "unsafe"
    active = {layer.name for layer in health.layers if layer.active}
    assert {"seccomp", "rlimits"} <= active
    assert health.python
