"""How a finding at a place of the code is made."""

import ast

from mcpbox.domain.evidence import Finding, Risk
from mcpbox.policies.static.program import Program


def found_at(
    program: Program, node: ast.AST, level: Risk, rule: str, title: str, text: str, why: str
) -> Finding:
    line, column = program.place(node)
    return Finding(
        level=level, title=title, text=text, line=line, column=column, rule=rule, why=why
    )
