"""``GET /metrics``: what happened, counted; no name of anything in it."""

import asyncio
import tempfile
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from sandbox.contract import Bundle
from tests.integration.sandbox.held import ONE, held_run, settings_for
from tests.integration.sandbox.running import RunningService, running
from tests.integration.sandbox.web import Web, serving

REACHES = """
async def main(allowed):
    await http.get(allowed)
    try:
        await http.get("http://forbidden.test/")
    except Exception:
        return "refused"
"""

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def numbers(service: RunningService) -> Numbers:
    response = await service.client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name.removeprefix("mcpbox_sandbox_"), tuple(sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(found: Numbers, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def test_everything_that_happens_is_counted() -> None:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        async with serving(Web()) as web:
            await _count(Path(directory), web)


async def _count(directory: Path, web: Web) -> None:
    origin = f"localhost:{web.port}"
    settings = settings_for(web, MAX_RUNNING="1", MAX_WAITING="0", POOL_SIZE="1")
    async with running(directory, settings) as service:
        await service.run(ONE)
        await service.run("import os\nasync def main(): pass\n")
        await service.run("async def main():\n    1 / 0\n")
        await service.run("async def main():\n    while True: pass\n", limits={"wall_s": 0.2})
        await service.run(REACHES, {"allowed": f"http://{origin}/json"}, hosts=(origin,))
        trial = Bundle(code=ONE)
        body = {"bundle_key": trial.key, "bundle": trial.model_dump(mode="json"), "trial": True}
        await service.client.post("/runs", json=body)

        held = asyncio.create_task(service.client.post("/runs", json=held_run(web)))
        async with asyncio.timeout(30):
            await web.arrived.wait()
        busy = await service.client.post("/runs", json=held_run(web))
        during = await numbers(service)
        held.cancel()
        await asyncio.wait((held,))
        async with asyncio.timeout(30):  # that it hung up is seen a moment later
            while (await service.health()).running:
                pass
        await service.run(ONE)
        after = await numbers(service)

    assert busy.status_code == 429
    assert busy.headers["retry-after"] == str(busy.json()["retry_after_s"])
    assert busy.json()["limit"] == "sandbox"
    assert of(during, "running") == 1
    assert of(during, "waiting") == 0
    assert of(after, "running") == 0
    assert of(after, "zygotes") >= 1
    assert of(after, "runs_total", outcome="ok", trial="false") == 3
    assert of(after, "runs_total", outcome="ok", trial="true") == 1
    assert of(after, "runs_total", outcome="raised", trial="false") == 1
    assert of(after, "runs_total", outcome="rejected", trial="false") == 1
    assert of(after, "runs_total", outcome="wall", trial="false") == 1
    assert of(after, "kills_total", reason="wall") == 1
    assert of(after, "kills_total", reason="abandoned") == 1
    assert of(after, "refused_total", limit="sandbox") == 1
    assert of(after, "guard_rejections_total") == 1
    assert of(after, "egress_requests_total", outcome="2xx") == 1
    assert of(after, "egress_requests_total", outcome="refused") == 1
    assert of(after, "run_duration_seconds_count") == 6
    assert of(after, "queue_wait_seconds_count") >= 7
    assert of(after, "child_starts_total", ready="true") >= 7


async def test_metrics_need_the_key_and_name_nothing(service: RunningService) -> None:
    await service.run(ONE, hosts=("named.example.org",))

    told = (await service.client.get("/metrics")).text
    refused = await service.client.get("/metrics", headers={"x-mcpbox-sandbox-key": "wrong"})

    assert refused.status_code == 401
    assert "named.example.org" not in told
    assert Bundle(code=ONE).key[:12] not in told
