"""Reads a tool's source and says early what will not work, and what to do instead.

Defence in depth, and clear messages; never the boundary.
"""

import ast
from typing import NamedTuple

from sandbox.modules import BASE_MODULES, is_allowed, is_denied_submodule
from sandbox.words import words

MAX_SOURCE_CHARACTERS = 256 * 1024
_MAX_DEPTH = 120
_MAX_FINDINGS = 100

_NO_FILES = "Tools have no file system: take data as arguments and return it from main()."
_NO_PROCESSES = "Tools cannot start processes or threads: use asyncio for concurrency."
_USE_HTTP = "Use the `http` client (httpx API) instead: `await http.get(url)`."
_ASK = "Use another module: only the default ones can be imported for now."
_INTERNALS = "It leads into the interpreter; write it without."

_INSTEAD = {
    "os": "Tools have no files, processes or environment: take what is needed as arguments.",
    "sys": "Use print() for output, and main()'s arguments for input.",
    "pickle": "Use json instead.",
    "inspect": _INTERNALS,
    "importlib": "Write a plain import of an allowed module.",
    "ctypes": "Native code cannot be called.",
    "signal": "Use asyncio.timeout() to limit time.",
    "sqlite3": _NO_FILES,
    **dict.fromkeys(("glob", "pathlib", "shutil", "tempfile", "fileinput"), _NO_FILES),
    **dict.fromkeys(("concurrent", "multiprocessing", "subprocess", "threading"), _NO_PROCESSES),
    **dict.fromkeys(
        ("aiohttp", "ftplib", "requests", "smtplib", "socket", "ssl", "telnetlib", "urllib3"),
        _USE_HTTP,
    ),
    "http.client": _USE_HTTP,
    "urllib.request": _USE_HTTP,
    "asyncio.subprocess": _NO_PROCESSES,
    "open": _NO_FILES,
    "eval": "Use json.loads() or ast.literal_eval() to read data.",
    "exec": "Write the code out, or choose between functions.",
    "compile": "Write the code out.",
    "__import__": "Write a plain import statement.",
    "input": "Take it as an argument of main().",
    "breakpoint": "Use print(): its output comes back with the result.",
    "globals": "Pass values as arguments.",
    "locals": "Pass values as arguments.",
    "exit": "Return from main(), or raise an exception.",
    "quit": "Return from main(), or raise an exception.",
}

_DENIED_NAMES = frozenset(
    words("""
    __build_class__ __builtins__ __debug_ __import__ __loader__ __spec__ breakpoint compile
    copyright credits eval exec exit globals help input license locals memoryview_ open quit
""")
)

_DENIED_ATTRIBUTES = frozenset(
    words("""
    ag_await ag_code ag_frame co_code co_consts cr_await cr_code cr_frame cr_origin ctypes f_back
    f_builtins f_code f_globals f_locals func_code func_globals gi_code gi_frame gi_yieldfrom mro
    tb_frame tb_next
""")
)

_ALLOWED_DUNDERS = frozenset(
    words("""
    __abs__ __add__ __aenter__ __aexit__ __aiter__ __and__ __anext__ __annotations__ __await__
    __bool__ __bytes__ __call__ __cause__ __class__ __class_getitem__ __contains__ __context__
    __dataclass_fields__ __delattr__ __delitem__ __dict__ __divmod__ __doc__ __enter__ __eq__
    __exit__ __fields__ __float__ __floordiv__ __format__ __ge__ __get__ __getattr__ __getitem__
    __gt__ __hash__ __iadd__ __imul__ __index__ __init__ __init_subclass__ __int__ __invert__
    __isub__ __iter__ __le__ __len__ __lshift__ __lt__ __match_args__ __matmul__ __members__
    __missing__ __mod__ __module__ __mul__ __name__ __ne__ __neg__ __new__ __next__ __notes__ __or__
    __pos__ __post_init__ __pow__ __pydantic_init_subclass__ __qualname__ __radd__ __repr__
    __reversed__ __rmul__ __ror__ __round__ __rshift__ __rsub__ __set__ __set_name__ __setattr__
    __setitem__ __sizeof__ __slots__ __str__ __sub__ __total_ordering__ __truediv__ __version__
    __wrapped__ __xor__
""")
)

_DENIED_STRINGS = frozenset(
    words("""
    __base__ __bases__ __builtins__ __closure__ __code__ __func__ __getattribute__ __globals__
    __import__ __loader__ __mro__ __reduce__ __reduce_ex__ __self__ __subclasses__
""")
)


class Finding(NamedTuple):
    line: int
    column: int
    """From 1, as editors count."""
    message: str


def check(source: str, granted: frozenset[str] = frozenset()) -> list[Finding]:
    """All findings in source order; empty means the code passes.

    Run it in a child: hostile source can crash the parser itself.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        return [Finding(1, 1, f"The code is longer than {MAX_SOURCE_CHARACTERS} characters.")]
    try:
        tree = ast.parse(source, "<tool>")
    except SyntaxError as error:
        return [Finding(error.lineno or 1, error.offset or 1, f"Syntax error: {error.msg}.")]
    except (ValueError, RecursionError, MemoryError):
        return [Finding(1, 1, "The code cannot be parsed: it is nested too deeply, or not text.")]
    visitor = _Visitor(granted)
    visitor.visit(tree)
    return sorted(set(visitor.findings))[:_MAX_FINDINGS]


def is_internal_attribute(name: str) -> bool:
    dunder = name.startswith("__") and name.endswith("__")
    return name in _DENIED_ATTRIBUTES or (dunder and name not in _ALLOWED_DUNDERS)


class _Visitor(ast.NodeVisitor):
    def __init__(self, granted: frozenset[str]) -> None:
        self.findings: list[Finding] = []
        self._granted = granted
        self._depth = 0
        self._place = (1, 1)
        self._inside_string = False

    def visit(self, node: ast.AST) -> None:
        """Nothing is deeper than the limit, so this recursion ends long before Python's."""
        if self._depth > _MAX_DEPTH:
            self._add("The code is nested too deeply; split it into functions.")
            return
        outside = self._place
        line: int | None = getattr(node, "lineno", None)
        if line is not None and not self._inside_string:
            self._place = (line, getattr(node, "col_offset", 0) + 1)
        self._depth += 1
        super().visit(node)
        self._depth -= 1
        self._place = outside

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._check_module(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            self._add("Relative imports are not possible: a tool is one module.")
            return
        if not self._check_module(node.module):
            return
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if is_denied_submodule(full):
                self._add(_unavailable(full))
            self._check_attribute(alias.name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._check_attribute(node.attr)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in _DENIED_NAMES:
            self._add(f"`{node.id}` is not available; {_lower(_INSTEAD.get(node.id, _INTERNALS))}")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:  # `case object(__class__=c)` reads attributes
            self._check_attribute(name)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value in _DENIED_STRINGS:
            self._add(f"The string {node.value!r} is not allowed. {_INTERNALS}")

    def visit_arg(self, node: ast.arg) -> None:
        self._check_annotation(node.annotation)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._check_annotation(node.annotation)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._check_annotation(node.returns)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._check_annotation(node.returns)
        self.generic_visit(node)

    def _check_annotation(self, annotation: ast.expr | None) -> None:
        """A string annotation is code that typing, pydantic and functools evaluate later."""
        if not isinstance(annotation, ast.Constant) or not isinstance(annotation.value, str):
            return
        try:
            parsed = ast.parse(annotation.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        outside = self._place
        self._place = (annotation.lineno, annotation.col_offset + 1)
        self._inside_string = True
        self.visit(parsed)
        self._inside_string = False
        self._place = outside

    def _check_module(self, name: str) -> bool:
        if is_allowed(name, self._granted) and not is_denied_submodule(name):
            return True
        self._add(_unavailable(name))
        return False

    def _check_attribute(self, name: str) -> None:
        if is_internal_attribute(name):
            self._add(f"Attribute `{name}` is not available. {_INTERNALS}")

    def _add(self, message: str) -> None:
        self.findings.append(Finding(*self._place, message))


def _unavailable(module: str) -> str:
    top = module.partition(".")[0]
    known = _INSTEAD.get(module) or (_INSTEAD.get(top) if top not in BASE_MODULES else None)
    return f"Module `{module}` is not available; {_lower(known or _ASK)}"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
