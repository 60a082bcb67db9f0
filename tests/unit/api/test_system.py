"""What the sandbox measured, as the panel is told of it."""

from api.system import Condition, sandbox_as_measured
from sandbox.contract import Health, Layer

ACTIVE = Layer(name="seccomp", active=True)
MISSING = Layer(name="cgroup", active=False, detail="read-only: delegate it")


def test_a_layer_that_is_missing_is_a_warning_with_its_reason() -> None:
    body = sandbox_as_measured(Health(ready=True, level="full", layers=(ACTIVE, MISSING)))

    assert body.state is Condition.OK
    assert body.warnings == ["The layer cgroup is inactive. read-only: delegate it"]


def test_without_a_missing_layer_there_is_nothing_to_warn_of() -> None:
    body = sandbox_as_measured(Health(ready=True, level="full", layers=(ACTIVE,)))

    assert body.warnings == []
