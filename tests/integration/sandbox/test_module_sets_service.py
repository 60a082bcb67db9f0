"""Module sets as a caller of the service meets them."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.contract import (
    EVENTS_MEDIA_TYPE,
    UNKNOWN_MODULE_SET_STATUS,
    Bundle,
    InstalledModuleSet,
    MissingWheels,
    ModuleSet,
    RunResult,
)
from tests.integration.sandbox.running import API_KEY, RunningService, running
from tests.integration.sandbox.wheels import Made, Recipe, pure, set_of

FINE = pure("fine", "X = 1\n")
CODE = "import fine\nasync def main():\n    return fine.X\n"


@pytest.fixture(scope="module")
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture(scope="module")
async def own_service(directory: Path) -> AsyncGenerator[RunningService]:
    async with running(directory, {"DATA_DIR": str(directory / "data")}) as service:
        yield service


async def send(service: RunningService, wheel: Made) -> httpx.Response:
    return await service.client.put(f"/wheels/{wheel.sha256}", content=wheel.pieces())


async def install(service: RunningService, *wheels: Made) -> ModuleSet:
    for wheel in wheels:
        assert (await send(service, wheel)).status_code == 204
    module_set = set_of(*wheels)
    response = await put(service, module_set)
    assert response.status_code == 200, response.text
    return module_set


async def put(service: RunningService, module_set: ModuleSet) -> httpx.Response:
    path = f"/module-sets/{module_set.key}"
    return await service.client.put(path, json=module_set.model_dump(mode="json"))


async def run(service: RunningService, bundle: Bundle, **headers: str) -> httpx.Response:
    asked: dict[str, Any] = {
        "bundle_key": bundle.key,
        "bundle": bundle.model_dump(mode="json"),
        "trial": True,
    }
    return await service.client.post("/runs", json=asked, headers=headers)


def bundle_of(key: str, code: str = CODE) -> Bundle:
    return Bundle(code=code, modules=("fine",), module_set=key, server="ana")


async def test_a_set_is_installed_once_its_wheels_are_here(own_service: RunningService) -> None:
    wheel = pure("stepwise", "X = 1\n")
    module_set = set_of(wheel)

    first = await put(own_service, module_set)
    unknown = await own_service.client.get(f"/module-sets/{module_set.key}")
    await send(own_service, wheel)
    answers = await asyncio.gather(*(put(own_service, module_set) for _ in range(3)))
    known = await own_service.client.get(f"/module-sets/{module_set.key}")

    assert first.status_code == UNKNOWN_MODULE_SET_STATUS
    assert MissingWheels.model_validate_json(first.content).missing == (wheel.sha256,)
    assert unknown.status_code == 404
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.text for answer in answers} == {known.text}
    installed = InstalledModuleSet.model_validate_json(known.content)
    assert installed.key == module_set.key
    assert installed.modules == ("stepwise",)


async def test_a_tool_imports_a_module_of_its_set(own_service: RunningService) -> None:
    module_set = await install(own_service, FINE)

    result = RunResult.model_validate_json((await run(own_service, bundle_of(module_set.key))).text)

    assert result.result == 1


@pytest.mark.parametrize("accept", ["application/json", EVENTS_MEDIA_TYPE])
async def test_a_bundle_whose_set_is_not_here_is_not_run(
    own_service: RunningService, accept: str
) -> None:
    bundle = bundle_of(f"sha256:{'0' * 64}")

    response = await run(own_service, bundle, accept=accept)

    assert response.status_code == UNKNOWN_MODULE_SET_STATUS
    assert "install it" in response.json()["detail"]


def change(file: Path) -> None:
    file.chmod(0o644)
    file.write_text("X = 4\n")


async def test_a_set_that_was_changed_on_disk_is_asked_for_again(
    own_service: RunningService, directory: Path
) -> None:
    wheel = pure("fine", "X = 3\n")
    module_set = await install(own_service, wheel)
    place = directory / "data/module-sets" / module_set.key.removeprefix("sha256:")
    change(place / "files/fine.py")

    refused = await run(own_service, bundle_of(module_set.key))
    await put(own_service, module_set)
    result = RunResult.model_validate_json((await run(own_service, bundle_of(module_set.key))).text)

    assert refused.status_code == UNKNOWN_MODULE_SET_STATUS
    assert result.result == 3


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_breaks_a_modules_process_is_the_result_of_the_run(
    own_service: RunningService, streamed: bool
) -> None:
    module_set = await install(own_service, pure("fine", "import os; os._exit(0)\n"))
    accept = {"accept": EVENTS_MEDIA_TYPE} if streamed else {}

    response = await run(own_service, bundle_of(module_set.key), **accept)

    assert response.status_code == 200
    assert "Module 'fine' cannot be imported here" in response.text
    assert '"crashed"' in response.text


async def test_every_path_asks_for_the_key(own_service: RunningService) -> None:
    module_set = await install(own_service, FINE)
    without = {"x-mcpbox-sandbox-key": "wrong"}
    client = own_service.client

    answers = [
        await client.put(f"/wheels/{FINE.sha256}", content=b"x", headers=without),
        await client.put(f"/module-sets/{module_set.key}", content=b"{}", headers=without),
        await client.get(f"/module-sets/{module_set.key}", headers=without),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


async def test_what_does_not_fit_its_path_is_refused(own_service: RunningService) -> None:
    module_set, other = set_of(FINE), set_of(pure("other", ""))
    unsorted = ModuleSet(wheels=(other.wheels[0], module_set.wheels[0]))
    escaping = ModuleSet(
        wheels=(module_set.wheels[0].model_copy(update={"sha256": "../../etc/passwd"}),)
    )
    client = own_service.client

    answers = [
        await client.put(f"/wheels/{'0' * 64}", content=FINE.content),
        await client.put("/wheels/..%2Fx", content=FINE.content),
        await client.put(f"/wheels/{FINE.sha256.upper()}", content=FINE.content),
        await client.put(f"/module-sets/{other.key}", json=module_set.model_dump(mode="json")),
        await put(own_service, ModuleSet(wheels=())),
        await put(own_service, unsorted),
        await put(own_service, escaping),
    ]

    assert [answer.status_code for answer in answers] == [422, 404, *[422] * 5]


async def test_a_wheel_that_is_too_large_is_refused(
    own_service: RunningService, directory: Path
) -> None:
    """The first sends no body at all, the second too much of one that it did not announce."""
    announced = str(100 * 2**20 + 1)
    transport = f"PUT /wheels/{'0' * 64} HTTP/1.1\r\nhost: sandbox\r\n"
    transport += f"x-mcpbox-sandbox-key: {API_KEY}\r\ncontent-length: {announced}\r\n\r\n"
    reader, writer = await asyncio.open_unix_connection(directory / "sandbox.sock")
    writer.write(transport.encode())
    async with asyncio.timeout(30):
        status = await reader.readline()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()

    async def much() -> AsyncGenerator[bytes]:
        for _ in range(101):
            yield bytes(2**20)

    response = await own_service.client.put(f"/wheels/{'0' * 64}", content=much())

    assert b" 413 " in status
    assert response.status_code == 413
    assert os.listdir(directory / "data/partial") == []


async def test_a_refused_wheel_is_told_with_the_reason(own_service: RunningService) -> None:
    evil = Recipe({"os.py": b""}, name="evil").made()
    await send(own_service, evil)

    response = await put(own_service, set_of(evil))

    assert response.status_code == 422
    assert "its module os would replace" in response.json()["detail"]


async def test_a_set_outlives_the_service_that_installed_it() -> None:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as name:
        directory = Path(name)
        os.chmod(directory, 0o711)  # noqa: S103  the fork server is another user
        environment = {"DATA_DIR": str(directory / "data")}
        async with running(directory, environment) as service:
            module_set = await install(service, FINE)
        async with running(directory, environment) as service:
            response = await run(service, bundle_of(module_set.key))

    assert RunResult.model_validate_json(response.text).result == 1
