"""Which layers of isolation really hold: what the zygote did, tried by hostile code in a child."""

from dataclasses import dataclass
from typing import Literal, cast

from sandbox.bundles import Registered
from sandbox.contract import Bundle, Health, Layer, RunLimits
from sandbox.control import Done
from sandbox.launcher import Zygote
from sandbox.lockdown import cgroups
from sandbox.runner import Runner

LayerName = Literal["namespaces", "private_root", "landlock", "seccomp", "rlimits", "cgroup"]
Level = Literal["full", "filters-only", "seccomp-only", "unsafe"]

_LAYERS: tuple[LayerName, ...] = (
    "namespaces",
    "private_root",
    "landlock",
    "seccomp",
    "rlimits",
    "cgroup",
)
_NEEDS: dict[LayerName, str] = {
    "namespaces": (
        "run as root, or allow user namespaces (sysctl user.max_user_namespaces above 0, "
        "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0); a "
        "container needs a seccomp profile that lets it call unshare and mount"
    ),
    "private_root": "what the namespaces need, and a mount namespace in which it may mount",
    "landlock": "Linux 5.13 or newer with landlock among its lsm= (see dmesg), not hidden by a "
    "container's seccomp profile",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER",
    "rlimits": "no hard limit of the service (ulimit -H) below what a child sets",
    "cgroup": cgroups.NEEDS,
}
"""What the operator can do."""
_LIMITS = RunLimits(wall_s=10, cpu_s=5)

_PROVES = {
    "open a socket": "seccomp",
    "fork": "seccomp",
    "start a program": "seccomp",
    "signal the parent": "seccomp",
    "use 600 MB": "rlimits",
    "open 300 descriptors": "rlimits",
}
"""What an attempt that succeeds says about a layer."""

_ATTEMPTS = """
import os, socket
async def main():
    reached = []
    def attempt(name, act):
        try:
            act()
        except BaseException:
            return
        reached.append(name)
    attempt("read /etc/passwd", lambda: open("/etc/passwd"))
    attempt("read the parent's environment", lambda: open(f"/proc/{os.getppid()}/environ").read())
    attempt("write a file", lambda: open("/tmp/sandbox-probe", "w"))
    attempt("open a socket", socket.socket)
    attempt("fork", lambda: os.fork() or os._exit(0))
    attempt("start a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
    attempt("signal the parent", lambda: os.kill(os.getppid(), 0))
    attempt("use 600 MB", lambda: bytearray(600 * 2**20))
    attempt("open 300 descriptors", lambda: [os.dup(0) for _ in range(300)])
    return reached
"""


class NotIsolated(Exception):
    """Fit for the operator."""


@dataclass(frozen=True)
class Isolation:
    level: Level
    layers: tuple[Layer, ...]
    reached: tuple[str, ...]
    """Attempts of hostile code that succeeded; empty where the level is not ``unsafe``."""

    def require(self, required: frozenset[str]) -> None:
        """Raises: NotIsolated: a required layer is inactive, or the level is ``unsafe``."""
        inactive = [layer for layer in self.layers if not layer.active]
        missing = [layer for layer in inactive if layer.name in required]
        if missing:
            names = "; ".join(f"{layer.name} ({layer.detail})" for layer in missing)
            raise NotIsolated(f"MCPBOX_SANDBOX_REQUIRE asks for what is inactive here: {names}")
        if self.level == "unsafe":
            names = ", ".join(layer.name for layer in inactive)
            reached = ", ".join(self.reached) or "nothing yet"
            raise NotIsolated(
                f"this machine cannot isolate tools (level unsafe). Inactive layers: {names}. "
                f"Hostile code was able to: {reached}. seccomp and rlimits are the least."
            )

    def health(self, *, ready: bool, idle: int, running: int, python: str) -> Health:
        return Health(
            ready=ready,
            level=self.level,
            layers=self.layers,
            idle_children=idle,
            running=running,
            python=python,
        )


async def measure(runner: Runner, zygote: Zygote) -> Isolation:
    attempts = Registered.of(Bundle(code=_ATTEMPTS))
    result = await runner.run(attempts, limits=_LIMITS, guarded=False)
    if not result.ok:
        message = result.error.message if result.error else ""
        reached: tuple[str, ...] = (f"the probe did not run: {message}",)
    else:
        reached = tuple(cast("list[str]", result.result))
    refuted = {_PROVES[name] for name in reached if name in _PROVES}
    done = zygote.started.layers
    layers = tuple(_layer(name, done[name], refuted=name in refuted) for name in _LAYERS)
    if done["cgroup"].active and not zygote.children_are_in_cgroup():
        outside = Layer(name="cgroup", active=False, detail="a child was found outside")
        layers = (*layers[:-1], outside)
    return Isolation(_level(layers, reached), layers, reached)


def _layer(name: LayerName, done: Done, *, refuted: bool) -> Layer:
    if refuted:
        return Layer(name=name, active=False, detail="hostile code in a child got past it")
    if done.active:
        return Layer(name=name, active=True, detail=done.detail)
    return Layer(name=name, active=False, detail=f"{done.detail or 'off'}: {_NEEDS[name]}")


def _level(layers: tuple[Layer, ...], reached: tuple[str, ...]) -> Level:
    active = {layer.name for layer in layers if layer.active}
    if reached or not {"seccomp", "rlimits"} <= active:
        return "unsafe"
    if {"namespaces", "private_root", "landlock"} <= active:
        return "full"
    return "filters-only" if "landlock" in active else "seccomp-only"
