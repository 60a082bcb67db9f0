"""Snippets that write frames by hand: from the words the corpus uses to those of our protocol.

The corpus frames like this: length (u32), kind (u8), stream (u32), payload; the payload of a
request is the length of its head (u32), the head as JSON, the body. It numbers streams from 0 for
each call, where ours begin at a secret number, which code without a guard can read.
"""

import ast

from sandbox.channel import BODY_START
from sandbox.frames import CALL_BITS, HEADER, Kind

_HEADER = "<IBI"
_BODY_START = "<I"
_KINDS = {
    "JOB": 1,
    "RESULT": 2,
    "REQUEST": 3,
    "HEAD": 4,
    "DATA": 5,
    "END": 6,
    "FAILURE": 7,
    "CANCEL": 8,
    "READY": 9,
}
_KEYS = {"m": "method", "u": "url", "h": "headers", "t": "timeout_s"}
_STREAM_OF_THIS_CALL = f"""
def _stream_of_this_call(number):
    from sandbox.transports import BrokerTransport
    return getattr(BrokerTransport.channel, "_call", 0) + number % {2**CALL_BITS}
"""
_PACKED = _HEADER.strip("<")


class NotApplicable(ValueError):
    """It would test nothing here."""


def adapted(code: str) -> str:
    """Raises: NotApplicable: it writes frames, and ours are not framed alike any more."""
    if _PACKED not in code:
        return code
    if not _frames_are_alike():
        raise NotApplicable("it writes frames by hand, and this protocol frames otherwise")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    return ast.unparse(_Words().visit(tree)) + _STREAM_OF_THIS_CALL


def _frames_are_alike() -> bool:
    ours = {name: int(Kind[name]) for name in _KINDS if name in Kind.__members__}
    return HEADER.format == _HEADER and BODY_START.format == _BODY_START and ours == _KINDS


class _Words(ast.NodeTransformer):
    """``{"m": …, "u": …}`` is the head of a request, ``pack("<IBI", …)`` a frame's."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.args:
            case [ast.Constant(value=format_), _, _, stream] if format_ == _HEADER:
                name = ast.Name("_stream_of_this_call", ast.Load())
                node.args[3] = ast.Call(name, [stream], [])
            case _:
                pass
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        names = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        if {"m", "u"} <= set(names) <= set(_KEYS):
            for key in node.keys:
                assert isinstance(key, ast.Constant)
                key.value = _KEYS[str(key.value)]
        return self.generic_visit(node)
