"""The broker: granted hosts only, never a private address by accident, and all of it recorded."""

import pytest

from sandbox.contract import EgressRecord
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
    assert result.egress == (
        EgressRecord(method="GET", host="localhost", status=200, received_bytes=27),
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
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0", "2130706433", "localhost"]
)
async def test_a_granted_name_of_this_machine_is_refused(
    service: RunningService, canary: Web, host: str
) -> None:
    said, egress = await refusal(service, f"http://{host}:{canary.port}/", f"{host}:{canary.port}")

    assert "not public" in said
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


async def test_requests_of_one_call_are_counted(service: RunningService, web: Web) -> None:
    code = """
import httpx
async def main(url):
    done = 0
    try:
        for _ in range(60):
            await http.get(url)
            done += 1
    except httpx.ConnectError:
        pass
    return done
"""
    origin = f"localhost:{web.port}"

    result = await service.run(code, {"url": f"http://{origin}/json"}, hosts=(origin,))

    assert result.result == 50
    assert len(result.egress) == 51
    assert result.egress[-1].refused is not None


async def test_the_name_of_an_unknown_host_is_told(service: RunningService) -> None:
    said, egress = await refusal(service, "http://no-such-host.invalid/", "no-such-host.invalid")

    assert "cannot be resolved" in said
    assert egress[0].status is None
