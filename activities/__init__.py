"""Implements the contracts of :mod:`workflows.contracts`, and hosts the worker's ``main()``."""
