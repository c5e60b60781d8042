"""Kill `annotate ingest` with SIGKILL at random moments: run again, it ends where a clean run ends.

python -m benchmarks.ingest_kills [--kills 20] [--quick] [--videos FOLDER] [--seed 0] [--json FILE]
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from annotate.project import Project
from annotate.steps.init import init
from benchmarks._bars import Bars, arguments
from db import models
from db.engine import reading

ROOT = Path(__file__).parent.parent
CLI = (sys.executable, str(ROOT / "cli.py"))
COMPARED = (models.Video, models.VideoFile, models.Sample, models.SampleCheck, models.WorkAttempt)

Snapshot = dict[str, Any]


@dataclass(frozen=True)
class Kills:
    """What came of the trials."""

    trials: int
    equal: int
    """Trials whose rows and files are those of the clean run."""
    too_late: int
    """Runs that ended before their kill, not counted as trials."""
    clean_seconds: float
    differences: list[str]


def kill_and_compare(
    videos: Path, folder: Path, *, kills: int, rng: random.Random, command: Sequence[str] = CLI
) -> Kills:
    """Ingest `videos` once without and `kills` times with a SIGKILL to its whole process group.

    Each trial is a project of its own below `folder`: killed at a uniformly random moment of the time that
    the quickest run so far took, then run to its end. A run that ends before its kill is not counted.
    """
    clean = _project(folder / "clean")
    began = time.monotonic()
    _run(command, clean, videos).check_returncode()
    seconds = time.monotonic() - began
    wanted = snapshot(clean)
    quickest, trials, too_late, differences = seconds, 0, 0, []
    while trials < kills:
        project = _project(folder / f"trial-{trials}-{too_late}")
        ended = _killed(command, project, videos, rng.uniform(0, quickest))
        if ended is not None:
            too_late += 1
            quickest = min(quickest, ended)
            continue
        again = _run(command, project, videos)
        found = snapshot(project)
        if again.returncode or found != wanted:
            differences.append(f"trial {trials}: {_difference(wanted, found)} {again.stderr[-300:]}".strip())
        trials += 1
    return Kills(trials, trials - len(differences), too_late, seconds, differences)


def snapshot(folder: Path) -> Snapshot:
    """Every row that ingest writes, and the hash of every file in the media folder."""
    project = Project.open(folder)
    rows: Snapshot = {}
    with reading(project.engine) as session:
        for model in COMPARED:
            columns = [column.key for column in model.__table__.columns]
            records = session.scalars(select(model))
            rows[model.__tablename__] = sorted(
                json.dumps({c: getattr(row, c) for c in columns}, sort_keys=True) for row in records
            )
    project.engine.dispose()
    files = sorted(path for path in project.media.rglob("*") if path.is_file())
    rows["files"] = [
        f"{path.relative_to(project.media)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files
    ]
    return rows


def _project(folder: Path) -> Path:
    init(folder, preset="ch-sims", name="kills")
    return folder


def _arguments(command: Sequence[str], project: Path, videos: Path) -> list[str]:
    return [*command, "-q", "-C", str(project), "ingest", str(videos), "--json"]


def _run(command: Sequence[str], project: Path, videos: Path) -> "subprocess.CompletedProcess[str]":
    arguments = _arguments(command, project, videos)
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def _killed(command: Sequence[str], project: Path, videos: Path, seconds: float) -> float | None:
    """Start an ingest and kill its group after `seconds`; the time it took when it had ended before."""
    began = time.monotonic()
    process = subprocess.Popen(
        _arguments(command, project, videos),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
    return time.monotonic() - began


def _difference(wanted: Snapshot, found: Snapshot) -> str:
    for name, rows in wanted.items():
        missing, extra = set(rows) - set(found[name]), set(found[name]) - set(rows)
        if missing or extra:
            return f"{name}: missing {sorted(missing)[:1]}, extra {sorted(extra)[:1]}"
    return "the second run failed"


def main() -> int:
    """Print the figures and the bar; 1 when it is short."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--videos", type=Path, default=ROOT / "examples" / "videos")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kills, bars = 1 if options.quick else options.kills, Bars()
    with tempfile.TemporaryDirectory() as folder:
        result = kill_and_compare(options.videos, Path(folder), kills=kills, rng=random.Random(options.seed))
    print(
        f"clean run {result.clean_seconds:.1f} s, {kills} kills, {result.too_late} runs ended before theirs"
    )
    for line in result.differences:
        print(line)
    bars.bar("ingest_kills_equal", result.equal, ">=", kills)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
