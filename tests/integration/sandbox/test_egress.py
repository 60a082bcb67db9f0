"""The broker: granted hosts only, never a private address by accident, and all of it recorded."""

import pytest

from sandbox.contract import Bundle, EgressRecord, RunResult
from tests.integration.sandbox.running import RunningService
from tests.integration.sandbox.web import Web

FETCH = """
import httpx
async def main(url, follow=True):
    try:
        answer = await http.get(url, follow_redirects=follow)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return answer.text
"""


async def refusal(
    service: RunningService, url: str, *hosts: str
) -> tuple[str, tuple[EgressRecord, ...]]:
    result = await service.run(FETCH, {"url": url}, hosts=hosts)
    assert result.ok, result
    return result.result, result.egress


async def test_an_allowed_private_host_is_reached_and_recorded(
    service: RunningService, web: Web
) -> None:
    origin = f"localhost:{web.port}"

    result = await service.run(FETCH, {"url": f"http://{origin}/json"}, hosts=(origin,))

    assert result.result == '{"hello": "world", "n": 42}'
    (record,) = result.egress
    assert 0 < record.duration_ms < 10_000
    assert record == EgressRecord(
        method="GET",
        host="localhost",
        status=200,
        received_bytes=27,
        duration_ms=record.duration_ms,
    )


async def test_a_host_without_a_grant_is_refused_and_recorded(
    service: RunningService, canary: Web
) -> None:
    said, egress = await refusal(service, f"{canary.origin}/")

    assert f"127.0.0.1:{canary.port} is not granted" in said
    assert [(one.method, one.host, one.status) for one in egress] == [("GET", "127.0.0.1", None)]
    assert egress[0].refused is not None
    assert canary.asked == []


@pytest.mark.parametrize(
    ("host", "why"),
    [
        *((host, "not public") for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]")),
        *((host, "four decimal numbers") for host in ("0", "2130706433", "0x7f.1", "127.1")),
        ("localhost", "not public"),
    ],
)
async def test_a_granted_name_of_this_machine_is_refused(
    service: RunningService, canary: Web, host: str, why: str
) -> None:
    said, egress = await refusal(service, f"http://{host}:{canary.port}/", f"{host}:{canary.port}")

    assert why in said
    assert egress[0].refused is not None
    assert canary.asked == []


@pytest.mark.parametrize("address", ["169.254.169.254", "[fd00:ec2::254]", "10.0.0.1"])
async def test_metadata_and_private_ranges_are_refused(
    service: RunningService, address: str
) -> None:
    said, _ = await refusal(service, f"http://{address}/latest/", address)

    assert "not public" in said


async def test_an_allowed_private_host_is_allowed_on_its_port_alone(
    service: RunningService, canary: Web
) -> None:
    said, _ = await refusal(service, f"http://localhost:{canary.port}/", f"localhost:{canary.port}")

    assert "not public" in said
    assert canary.asked == []


async def test_a_redirect_to_a_private_address_is_refused(
    service: RunningService, web: Web, canary: Web
) -> None:
    origin = f"localhost:{web.port}"
    target = f"127.0.0.1:{canary.port}"

    said, egress = await refusal(service, f"http://{origin}/redir?http://{target}/", origin, target)

    assert "not public" in said
    assert [one.status for one in egress] == [302, None]
    assert canary.asked == []


async def test_a_host_header_cannot_name_another_host(service: RunningService, web: Web) -> None:
    code = """
async def main(url):
    answer = await http.get(url, headers={"Host": "internal.example"})
    return answer.json()["headers"]["host"]
"""
    origin = f"localhost:{web.port}"

    result = await service.run(code, {"url": f"http://{origin}/echo"}, hosts=(origin,))

    assert result.result == origin


async def test_a_response_over_the_cap_is_cut_off(service: RunningService, web: Web) -> None:
    origin = f"localhost:{web.port}"

    said, _ = await refusal(service, f"http://{origin}/big", origin)

    assert said.startswith("ReadError")
    assert "10485760" in said


async def test_the_name_of_an_unknown_host_is_told(service: RunningService) -> None:
    said, egress = await refusal(service, "http://no-such-host.invalid/", "no-such-host.invalid")

    assert "cannot be resolved" in said
    assert egress[0].status is None


async def tried(service: RunningService, code: str, secrets: dict[str, object]) -> RunResult:
    bundle = Bundle(code=code)
    asked = {"bundle_key": bundle.key, "bundle": bundle.model_dump(mode="json"), "trial": True}
    response = await service.client.post("/runs", json={**asked, "secrets": secrets})
    assert response.status_code == 200, response.text
    return RunResult.model_validate_json(response.content)


async def test_a_trial_has_dummies_for_its_secrets(service: RunningService) -> None:
    code = "async def main():\n    return dict(secrets)"

    result = await tried(
        service,
        code,
        {"FREE": {"value": "the-real-one"}, "BOUND": {"value": "real", "hosts": ["api.x.org"]}},
    )

    assert result.result["FREE"] == "dummy-FREE"
    assert "real" not in result.model_dump_json()


async def test_a_secret_with_a_malformed_host_is_named(service: RunningService) -> None:
    bundle = Bundle(code="async def main(): pass")
    asked = {"bundle_key": bundle.key, "bundle": bundle.model_dump(mode="json"), "trial": True}
    secrets = {"KEY": {"value": "the-real-one", "hosts": ["a b"]}}

    response = await service.client.post("/runs", json={**asked, "secrets": secrets})

    assert response.status_code == 422
    assert "secrets: 'a b' is no host" in response.text
    assert "the-real-one" not in response.text
