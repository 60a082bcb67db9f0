"""``python -m benchmarks``: measures an instance of its own, beside a bare server as the floor."""
