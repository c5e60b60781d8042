"""What handing a unit to a worker costs beside its work, and what is left of a run when a machine dies.

- executor_tax_process, executor_tax_ray: CPU milliseconds of the whole process tree per unit that does
  nothing, less what starting and ending take (a run of one unit per worker). Ray's start is printed;
- ray_rows_that_differ: after half of the videos are in, the second of two Ray nodes is killed: rows of the
  database that differ from those of a run in processes of this machine. Both nodes are of this machine, in a
  network of their own (`unshare -n`, two addresses on the loopback device), which only root may make.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._bars import Bars

ROOT = Path(__file__).parent.parent
VIDEOS = ROOT / "examples" / "videos"
HEAD, OTHER, PORT = "10.99.0.1", "10.99.0.2", 26379
TABLES = ("video", "sample", "sample_check", "video_file")


def nothing(unit: int) -> int:
    return unit


TAX = """
import sys
from annotate.registry import EXECUTORS
from annotate.types import Finished
from benchmarks._ingest_executors import nothing
if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2])
    with EXECUTORS.get(name)(address="") as place:
        told = place.run(nothing, range(count), workers=2, deadline_seconds=60, window=4)
        assert sum(isinstance(outcome, Finished) for outcome in told) == count
"""


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """Both taxes, and the run that loses a node."""
    for name, limit in (("process", 2.0), ("ray", 5.0)):
        tax(bars, name, limit, 1000 if quick else 4000)
    lose_a_node(bars, quick)


def tax(bars: Bars, name: str, limit: float, units: int) -> None:
    """The difference of two runs: all that starts and ends is in both."""
    start, full = spent(name, 2), spent(name, units)
    print(f"{name}: {start[0]:.1f} s to start and end ({start[1]:.1f} CPU s)")
    bars.bar(f"executor_tax_{name}", 1000 * (full[1] - start[1]) / (units - 2), "<=", limit)


def spent(name: str, units: int) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of everything in the process group of a run."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "tax.py"
        script.write_text(TAX)
        began = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, script, name, str(units)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True,
        )  # fmt: skip
        seen: dict[str, float] = {}
        while run.poll() is None:
            seen |= cpu_of_session(run.pid)
            time.sleep(0.2)
        assert run.returncode == 0
        return time.monotonic() - began, sum(seen.values())


def cpu_of_session(leader: int) -> dict[str, float]:
    """CPU seconds of each process of a session so far; the last look at each counts."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" ", 1)
        except OSError:
            continue
        fields = rest.rsplit(")", 1)[1].split()
        # After the name: state, parent, group, session; then user and system time are the 12th and 13th.
        if int(fields[3]) == leader:
            found[pid] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def lose_a_node(bars: Bars, quick: bool) -> None:
    name = "ray_rows_that_differ"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return bars.long(name, "needs the programs unshare and ip")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        return bars.long(name, "needs the right to unshare a network")
    copies = 1 if quick else 3
    with tempfile.TemporaryDirectory() as folder:
        videos = make_videos(Path(folder) / "videos", copies)
        command = ["unshare", "-n", sys.executable, "-m", "benchmarks._ingest_executors", folder]
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        print(done.stdout, end="")
        if done.returncode:
            print(done.stderr[-3000:])
            return bars.bar(name, float("inf"), "<=", 0)
        annotate("init", Path(folder) / "here")
        annotate("-C", Path(folder) / "here", "ingest", videos)
        here, there = (rows(Path(folder) / name) for name in ("here", "there"))
    differ = sum(len(set(here[t]) ^ set(there[t])) + abs(len(here[t]) - len(there[t])) for t in TABLES)
    print(", ".join(f"{table} {len(here[table])} rows" for table in TABLES))
    return bars.bar(name, differ, "<=", 0)


def make_videos(folder: Path, copies: int) -> Path:
    """The example videos, each several times with other bytes at the end of the file."""
    folder.mkdir()
    for video in sorted(VIDEOS.glob("grid_*.mpg")):
        for copy in range(copies):
            target = folder / f"{copy}_{video.name}"
            target.write_bytes(video.read_bytes() + b"\0" * copy)
            beside = video.with_suffix(".srt")
            if beside.exists():
                shutil.copy(beside, target.with_suffix(".srt"))
    return folder


def annotate(*options: object) -> None:
    subprocess.run([sys.executable, ROOT / "cli.py", *map(str, options)], check=True, capture_output=True)


def rows(project: Path) -> dict[str, list[str]]:
    import sqlite3

    with sqlite3.connect(f"file:{project}/annotate.db?mode=ro", uri=True) as database:
        queries = {table: f"SELECT * FROM {table}" for table in TABLES}  # noqa: S608 - our own names
        return {table: sorted(map(str, database.execute(query))) for table, query in queries.items()}


def finished(project: Path) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{project}/annotate.db?mode=ro", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM video").fetchone()[0])


def inside(folder: Path) -> None:
    """Two nodes in a network of their own; the second one is killed when half of the videos are in."""
    for command in ("link set lo up", f"addr add {HEAD}/32 dev lo", f"addr add {OTHER}/32 dev lo"):
        subprocess.run(["ip", *command.split()], check=True)
    os.environ.update(
        RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0",
        OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT),
    )  # fmt: skip
    began = time.monotonic()
    nodes = [
        node(folder, "--head", f"--port={PORT}", "--include-dashboard=false", address=HEAD),
        node(folder, f"--address={HEAD}:{PORT}", address=OTHER),
    ]
    try:
        wait_for_nodes(2)
        print(f"two Ray nodes: {time.monotonic() - began:.1f} s to start")
        run_and_kill(folder, nodes[1])
    finally:
        for each in nodes:
            end(each)


def node(folder: Path, *options: str, address: str) -> "subprocess.Popen[bytes]":
    command = [
        Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1", "--num-gpus=0",
        f"--node-ip-address={address}", "--object-store-memory=100000000", *options,
    ]  # fmt: skip
    if "--head" in options:
        command.append(f"--temp-dir={tempfile.mkdtemp(prefix='ray', dir=folder)}")
    log = (folder / f"{address}.log").open("wb")
    with log:
        started = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    if "--head" in options:
        time.sleep(8)
    return started


def wait_for_nodes(count: int) -> None:
    ask = (
        f"import ray; ray.init(address='{HEAD}:{PORT}', log_to_driver=False, configure_logging=False);"
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    for _ in range(20):
        told = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
        if told.stdout.strip() == str(count):
            return
        time.sleep(1)
    raise SystemExit(f"the two nodes never met: {told.stdout}{told.stderr[-2000:]}")


def run_and_kill(folder: Path, victim: "subprocess.Popen[bytes]") -> None:
    project = folder / "there"
    annotate("init", project)
    total = len([p for p in (folder / "videos").iterdir() if p.suffix == ".mpg"])
    began = time.monotonic()
    run = subprocess.Popen(
        [sys.executable, ROOT / "cli.py", "-C", project, "ingest", folder / "videos", "--executor", "ray",
         "--address", f"{HEAD}:{PORT}", "--json"], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while run.poll() is None and finished(project) < total / 2:
        time.sleep(0.1)
    done = finished(project)
    if run.poll() is None:
        end(victim)
    code = run.wait(400)
    print(
        f"one of two nodes killed after {done} of {total} videos: ingest ended with {code} "
        f"after {time.monotonic() - began:.1f} s"
    )
    if code or done >= total:
        raise SystemExit(1)


def end(each: "subprocess.Popen[bytes]") -> None:
    """Kill a node with all its processes: they are one session."""
    for pid in cpu_of_session(each.pid):
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
    each.wait()


if __name__ == "__main__":
    inside(Path(sys.argv[1]))
