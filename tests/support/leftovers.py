"""What killed commands leave behind, made without killing any."""

import subprocess
import sys


def name_of_an_ended_process() -> str:
    """A temporary name that a process gave which has ended since."""
    code = "from annotate.temporary import temporary_name; print(temporary_name())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
