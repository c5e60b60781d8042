"""What a second `annotate ingest` over unchanged files costs, as a share of the first, start-up aside.

    python -m benchmarks.ingest_again

All are whole processes. Start-up is what `annotate ingest` of an empty folder needs: the same imports
and the same database, no file to look at.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._bars import Bars, arguments

ROOT = Path(__file__).parent.parent
VIDEOS = ROOT / "examples" / "videos"


def seconds(*args: str) -> float:
    """Wall time of one command."""
    began = time.monotonic()
    subprocess.run([sys.executable, ROOT / "cli.py", *args], check=False, capture_output=True)
    return time.monotonic() - began


def measure(folder: Path) -> tuple[float, float, float]:
    """Wall seconds of start-up, first and second run in a new project."""
    project = str(folder)
    seconds("init", project)
    first = seconds("-C", project, "ingest", str(VIDEOS))
    (folder / "empty").mkdir()
    start_up = seconds("-C", project, "ingest", f"{project}/empty")
    return start_up, first, seconds("-C", project, "ingest", str(VIDEOS))


def main() -> int:
    """Medians of five (three with --quick)."""
    options = arguments(__doc__ or "").parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = [measure(Path(scratch) / str(i)) for i in range(3 if options.quick else 5)]
    start_up, first, second = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"start-up {start_up:.2f} s, first run {first:.2f} s, second run {second:.2f} s")
    bars = Bars()
    share = max(second - start_up, 0.0) / (first - start_up)
    bars.bar("ingest_second_run_share", share, "<=", 0.01)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
