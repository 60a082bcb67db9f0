"""Whether a process, known by a descriptor that somebody handed over, lies below one of ours."""

import os
from pathlib import Path


def lies_below(pidfd: int, ancestor_pid: int) -> bool:
    """Also when it has ended, for then nothing can be done to it.

    Without this, who hands over the descriptor chooses whom we kill.
    """
    try:
        lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    except OSError:
        return False
    numbers = [int(line.removeprefix("Pid:")) for line in lines if line.startswith("Pid:")]
    if len(numbers) != 1:
        return False  # no pidfd
    pid = numbers[0]
    if pid == -1:
        return True
    while pid > 1 and pid != os.getpid():
        if pid == ancestor_pid:
            return True
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return pid == numbers[0]  # it ended just now
        pid = int(status.rpartition(")")[2].split()[1])
    return False
