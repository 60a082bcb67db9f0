"""Package index, package facts and vulnerabilities, as plain services; no code of a package runs.

What cannot be answered is an error, or a :class:`mcpbox.domain.modules.Checked` that says why.
"""
