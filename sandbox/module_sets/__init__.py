"""Sets of pinned wheels: received, checked, and unpacked once into directories that nobody writes.

``wheel_file``, ``unpacking`` and ``bytecode`` run in a locked-down process of their own.
"""
