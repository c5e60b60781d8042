"""Waiting for other processes, and looking at them, in tests that start some."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 600.0
"""Seconds until a test gives up waiting. A machine that is busy with other work must not fail a test."""


def until(true: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait until the condition holds; False when it does not hold after `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def listen_to_ctrl_c() -> None:
    """Let this process and those that it starts react to SIGINT.

    A job that a shell runs in the background, and everything below `nohup`, starts with SIGINT ignored. All
    child processes would inherit that, and so would not end when a test sends it to them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
