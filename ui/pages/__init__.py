"""The pages, one module each; :mod:`ui.app` gives them their addresses."""
