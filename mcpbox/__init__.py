"""The ground floor of MCPbox, imported by every other package."""

__version__ = "0.1.0"
