"""Runs tool code, isolated; a service on its own that imports nothing of ours but its contract."""
