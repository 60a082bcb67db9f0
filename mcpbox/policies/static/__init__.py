"""What can be said of a tool's code by reading it: never run, and quick whatever it holds."""

from mcpbox.policies.static.reading import CodeReading, read_code, read_version

__all__ = ["CodeReading", "read_code", "read_version"]
