"""``/wheels`` and ``/module-sets``, as the contract says."""

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import Problem, as_json
from sandbox.bodies import parsed
from sandbox.contract import UNKNOWN_MODULE_SET_STATUS, MissingWheels, ModuleSet
from sandbox.module_sets.cache import MAX_WHEEL_BYTES, WheelTooLarge, WrongWheel
from sandbox.module_sets.installer import SetRefused
from sandbox.module_sets.store import MissingFromCache, ModuleSets

_MAX_BODY_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ModuleSetEndpoints:
    def __init__(self, module_sets: ModuleSets, require_key: Callable[[Request], None]) -> None:
        self._module_sets = module_sets
        self._require_key = require_key

    def routes(self) -> list[Route]:
        return [
            Route("/wheels/{sha256}", self.put_wheel, methods=["PUT"]),
            Route("/module-sets/{key}", self.put_set, methods=["PUT"]),
            Route("/module-sets/{key}", self.get_set, methods=["GET"]),
        ]

    async def put_wheel(self, request: Request) -> Response:
        self._require_key(request)
        sha256 = request.path_params["sha256"]
        if not _SHA256.fullmatch(sha256):
            raise Problem(422, "Invalid request", "The path must end in 64 hexadecimal digits.")
        try:
            _require_small(request)
            await self._module_sets.receive_wheel(sha256, request.stream())
        except WheelTooLarge:
            detail = f"A wheel may have {MAX_WHEEL_BYTES} bytes."
            raise Problem(413, "Request too large", detail) from None
        except WrongWheel as error:
            raise Problem(422, "Invalid request", str(error)) from error
        return Response(status_code=204)

    async def put_set(self, request: Request) -> Response:
        self._require_key(request)
        module_set = await parsed(request, ModuleSet, max_bytes=_MAX_BODY_BYTES)
        if module_set.key != request.path_params["key"]:
            detail = "The path does not end in the key of the module set that was sent."
            raise Problem(422, "Invalid request", detail)
        _require_well_formed(module_set)
        try:
            return as_json(await self._module_sets.install(module_set))
        except MissingFromCache as error:
            return as_json(MissingWheels(missing=error.missing), UNKNOWN_MODULE_SET_STATUS)
        except SetRefused as error:
            raise Problem(422, "Refused", str(error)) from error

    async def get_set(self, request: Request) -> Response:
        self._require_key(request)
        found = self._module_sets.find(request.path_params["key"])
        if found is None:
            raise Problem(404, "Unknown module set", "This module set is not installed here.")
        return as_json(found)


def _require_small(request: Request) -> None:
    """Before any of it is read. Raises: WheelTooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_WHEEL_BYTES:
        raise WheelTooLarge


def _require_well_formed(module_set: ModuleSet) -> None:
    names = [wheel.filename for wheel in module_set.wheels]
    if not names or names != sorted(set(names)):
        detail = "wheels: one or more, sorted by file name, without repeats."
        raise Problem(422, "Invalid request", detail)
    if not all(_SHA256.fullmatch(wheel.sha256) for wheel in module_set.wheels):
        raise Problem(422, "Invalid request", "wheels.sha256: must be 64 hexadecimal digits.")
