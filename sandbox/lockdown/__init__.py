"""Linux lock-down by system calls; a function raises ``OSError`` where it is not allowed."""
