"""Ways of writing code that hide what it does, or switch a protection off."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.policies.static.found import found_at
from mcpbox.policies.static.program import Program


class _Pattern(NamedTuple):
    level: Risk
    rule: str
    title: str
    why: str


_RUNS_CODE = _Pattern(
    Risk.CRITICAL, "runs-code", "Runs text as code", "What it runs cannot be read before it runs."
)
_STARTS_PROCESS = _Pattern(
    Risk.CRITICAL, "starts-process", "Starts a process", "A tool has no business outside Python."
)
_UNPACKS = _Pattern(
    Risk.CRITICAL,
    "unpickles",
    "Unpacks objects",
    "Loading them runs whatever code they were made with.",
)
_DECODES = _Pattern(
    Risk.MEDIUM,
    "decodes-blob",
    "Decodes text in the code",
    "What is kept encoded cannot be read by whoever approves it.",
)
_REFLECTS = _Pattern(
    Risk.MEDIUM,
    "reflection",
    "Looks names up at run time",
    "What is called is not written in the code; call it by its name.",
)
_REACHES_IN = _Pattern(
    Risk.HIGH,
    "internals",
    "Reaches into the interpreter",
    "It is how code gets past the rules that it runs under.",
)
_NO_TLS = _Pattern(
    Risk.HIGH,
    "tls-off",
    "Does not check certificates",
    "Anybody on the way can read and change what is sent.",
)

_CALLS: dict[str, _Pattern] = {
    **dict.fromkeys(
        ("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec",
         "builtins.compile", "builtins.__import__", "importlib.import_module", "runpy.run_path",
         "runpy.run_module", "types.FunctionType", "types.CodeType"),
        _RUNS_CODE,
    ),
    **dict.fromkeys(
        ("os.system", "os.popen", "os.fork", "os.execv", "os.execve", "os.execvp", "os.spawnv",
         "os.posix_spawn", "subprocess.run", "subprocess.call", "subprocess.Popen",
         "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput", "pty.spawn",
         "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
        _STARTS_PROCESS,
    ),
    **dict.fromkeys(
        ("pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve.open",
         "dill.loads", "cloudpickle.loads", "yaml.load", "yaml.unsafe_load"),
        _UNPACKS,
    ),
    **dict.fromkeys(
        ("globals", "locals", "vars", "operator.attrgetter", "operator.methodcaller",
         "inspect.getmembers"),
        _REFLECTS,
    ),
    **dict.fromkeys(
        ("ssl._create_unverified_context", "ssl._create_stdlib_context"), _NO_TLS
    ),
}  # fmt: skip
_DECODERS = frozenset(
    {"base64.b64decode", "base64.b32decode", "base64.b85decode", "base64.a85decode",
     "base64.urlsafe_b64decode", "base64.decodebytes", "binascii.unhexlify", "binascii.a2b_base64",
     "bytes.fromhex", "bytearray.fromhex", "codecs.decode", "zlib.decompress", "gzip.decompress",
     "lzma.decompress", "bz2.decompress"}
)  # fmt: skip
_BY_NAME = frozenset({"getattr", "setattr", "delattr", "hasattr"})
_INTERNALS = frozenset(
    {"__globals__", "__builtins__", "__subclasses__", "__bases__", "__mro__", "__code__",
     "__closure__", "__loader__", "__reduce__", "__reduce_ex__", "gi_frame", "cr_frame",
     "ag_frame", "f_globals", "f_locals", "f_back", "tb_frame"}
)  # fmt: skip


def pattern_findings(program: Program) -> Iterator[Finding]:
    for call in program.calls:
        yield from _about_call(program, call)
    for node in program.nodes:
        match node:
            case ast.Attribute(attr=name) if name in _INTERNALS:
                yield _found(program, node, _REACHES_IN, f"Uses {name!r}.")
            case ast.Attribute(attr="CERT_NONE"):
                yield _found(program, node, _NO_TLS, "Accepts any certificate.")
            case ast.Assign(
                targets=[ast.Attribute(attr="check_hostname")], value=ast.Constant(value=False)
            ):
                yield _found(program, node, _NO_TLS, "Does not compare the host's name.")
            case _:
                pass


def _about_call(program: Program, call: ast.Call) -> Iterator[Finding]:
    name = program.full_name(call.func)
    if name in _CALLS:
        yield _found(program, call, _CALLS[name], f"Calls {name}.")
    if name in _DECODERS and call.args and _is_written_out(program, call.args[0]):
        yield _found(program, call, _DECODES, f"Calls {name} on a constant.")
    if name in _BY_NAME and len(call.args) > 1 and program.constant(call.args[1]) is None:
        yield _found(program, call, _REFLECTS, f"Calls {name} with a name that is made up.")
    for keyword in call.keywords:
        if keyword.arg == "verify" and _is_false(keyword.value):
            yield _found(program, keyword.value, _NO_TLS, "Passes verify=False.")
    match call.func:
        case ast.Subscript():
            yield _found(program, call, _REFLECTS, "Calls what it has just looked up.")
        case _:
            pass


def _is_written_out(program: Program, node: ast.expr) -> bool:
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    return constant or program.constant(node) is not None


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (False, 0)


def _found(program: Program, node: ast.AST, pattern: _Pattern, text: str) -> Finding:
    level, rule, title, why = pattern
    return found_at(program, node, level, rule, title, text, why)
