"""What a tool could do about an error that the sandbox, and not its code, is the reason for."""

import errno

from sandbox.lockdown.rlimits import MAX_DESCRIPTORS

_BY_NUMBER = {
    errno.EMFILE: f"A tool may hold {MAX_DESCRIPTORS} descriptors at a time: close what is done.",
    errno.EPERM: "Tools cannot start processes or threads, open connections or write files.",
    errno.EROFS: "Tools cannot write files: return the data from main().",
}
_NO_THREADS = (
    "Tools cannot start threads or processes: use asyncio for concurrency; `asyncio.to_thread` "
    "and `run_in_executor` need threads too."
)


def hint_for(error: BaseException) -> str:
    """A sentence, or nothing."""
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0, "")
    if isinstance(error, RuntimeError) and error.args == ("can't start new thread",):
        return _NO_THREADS
    return ""
