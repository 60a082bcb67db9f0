"""Deterministic code that decides when; the contracts of the activities live here too."""
