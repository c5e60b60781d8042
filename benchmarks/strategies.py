"""How long our query strategies take at a million samples, beside their peers; whether they choose as well.

    python -m benchmarks.strategies [--quick] [--only WORDS] [--peers PYTHON] [--keep DIR] [--json FILE]

A pool of 60 Gaussian clumps, 128 numbers each, seven classes, 500 labelled samples; predictions are made
already. Each choice runs in a process of its own with one thread. What counts is the CPU seconds of choosing
alone, and the memory that it takes on top of the data. Part one asks for 100 samples and compares with the
fastest peer that has the same method; a peer that is stopped after 400 CPU seconds took 400. `worth` is what
the method strives for: the covering radius, the mean squared distance to the nearest chosen, the mean
typicality, the sum of the scores. A draw by chance may fall short of a peer's by 2 %. Part two asks every
strategy for 1 000 samples and compares with one product of the data with a hundred of its rows, and fits
how the time grows with the number of samples.

PYTHON is an interpreter that has what `benchmarks/peers.txt` names; without one an environment is made in
the folder of `--keep`, or a temporary one. Whatever stands in DIR already is not measured again.
"""

import json
import resource
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotate.registry import STRATEGIES
from benchmarks._bars import Bars, arguments
from benchmarks._strategies_data import WORTH, one_thread

HERE = Path(__file__).parent
CAP = 400
"""CPU seconds after which a peer is stopped."""
SMALL = 100_000
"""Samples that a choice is compared on where no peer comes to an end with all."""
OWN_CAP = 1_200
"""The same for ours."""
PRODUCTS, GIB, EXPONENT = 150.0, 4.0, 1.1
TOLERANCE = {"radius": 1.0, "spread": 1.001, "entropy": 1.001, "information": 1.001, "votes": 1.001}
"""Times the peer's worth; a draw, or a start of k-means, that is made by chance has 1.02."""
LEAST = 0.05
"""CPU seconds below which a time is noise, when its growth is fitted."""
Figures = dict[str, Any]


@dataclass(frozen=True)
class Match:
    """One of ours and the peers that have the same method."""

    peers: tuple[str, ...]
    limit: float
    worth: str
    members: int = 1
    same_worth: str = ""
    """The one peer that strives for the same, where others measure distances in another space."""


MATCHES = {
    "k-center": Match(("skactiveml-coreset", "alipy-coreset", "bmdal-maxdist"), 0.15, "radius"),
    "badge": Match(("plain-badge", "bmdal-kmeanspp"), 0.15, "gradient-potential", 1, "plain-badge"),
    "lcmd": Match(("bmdal-lcmd",), 0.4, "spread"),
    "bald": Match(("baal-bald",), 0.8, "information", 20),
    "entropy": Match(("modal-entropy",), 1.0, "entropy"),
    "vote-entropy": Match(("modal-votes",), 0.3, "votes", 5),
    "typiclust": Match(("skactiveml-typiclust",), 0.1, "typicality"),
}


@dataclass(frozen=True)
class Runner:
    """Runs each case once, and remembers."""

    keep: Path
    peers: Path | None

    def ours(self, name: str, n: int, b: int, members: int = 1, worth: str = "none") -> Figures:
        words = ["benchmarks._strategies_ours", name, n, b, members, worth]
        return self._once(f"ours-{name}-{n}-{b}-{members}-{worth}", sys.executable, words, OWN_CAP)

    def peer(self, name: str, n: int, b: int, worth: str) -> Figures:
        words = ["benchmarks._strategies_peers", name, n, b, worth]
        return self._once(f"peer-{name}-{n}-{b}-{worth}", str(self.peers), words, CAP)

    def _once(self, name: str, python: str, words: list[Any], cap: int) -> Figures:
        path = self.keep / f"{name.replace(':', '_')}.json"
        if not path.exists():
            path.write_text(json.dumps(_run(python, words, cap)))
        found = json.loads(path.read_text())
        said = f"{found['bytes'] / 2**30:6.2f} GiB  {found.get('worth', '')}"
        print(f"{name:<60}{found['cpu']:9.2f} s CPU {said} {found.get('failed', '')}", flush=True)
        return found


def _run(python: str, words: list[Any], cap: int) -> Figures:
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (cap + 30, cap + 30))  # 30: making the data
    done = subprocess.run(
        [python, "-m", *map(str, words)], cwd=HERE.parent, capture_output=True, text=True, preexec_fn=limit,
        check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if done.returncode < 0:
        return {"cpu": float(cap), "bytes": float("inf"), "failed": "stopped"}
    last = (done.stderr.strip().splitlines() or ["?"])[-1]
    return {"cpu": float("inf"), "bytes": float("inf"), "failed": last[:200]}


def compare(runner: Runner, name: str, n: int, b: int, bars: Bars) -> None:
    """One of ours with its peers."""
    match = MATCHES[name]
    if runner.peers is None:
        bars.long(f"{name}-time", "the peers cannot be installed")
        return
    theirs = {peer: runner.peer(peer, n, b, match.worth) for peer in match.peers}
    ours = runner.ours(name, n, b, match.members, match.worth)
    able = {peer: f for peer, f in theirs.items() if f["cpu"] < float("inf")}
    bars.figures[f"{name}-{n}"] = {"ours": ours, **theirs}
    if not able:
        bars.long(f"{name}-time", "no peer could be run")
        return
    fastest = min(able, key=lambda peer: able[peer]["cpu"])
    bars.bar(f"{name}-time", ours["cpu"] / able[fastest]["cpu"], "<=", match.limit)
    if able[fastest]["bytes"] < float("inf"):
        # A mebibyte more or less is what the allocator keeps.
        bars.bar(f"{name}-memory", ours["bytes"] / (able[fastest]["bytes"] + 2**20), "<=", 1.0)
    if n > SMALL and not any("worth" in figures for figures in able.values()):
        able = {peer: runner.peer(peer, SMALL, b, match.worth) for peer in match.peers}
        ours = runner.ours(name, SMALL, b, match.members, match.worth)
    rivals = [match.same_worth] if match.same_worth else list(able)
    _compare_worth(name, match, ours, [able[r]["worth"] for r in rivals if "worth" in able.get(r, {})], bars)


def _compare_worth(name: str, match: Match, ours: Figures, worths: list[float], bars: Bars) -> None:
    if not worths or "worth" not in ours:
        bars.long(f"{name}-{match.worth}", "no peer came to an end")
        return
    sign = WORTH[match.worth][1]
    best = max(worths) if sign > 0 else min(worths)
    ratio = best / ours["worth"] if sign > 0 else ours["worth"] / best
    bars.bar(f"{name}-{match.worth}", ratio, "<=", TOLERANCE.get(match.worth, 1.02))


def scale(runner: Runner, name: str, sizes: tuple[int, ...], b: int, bars: Bars) -> None:
    """One of ours against one product, and over sizes."""
    found = [runner.ours(name, n, b, 5) for n in sizes]
    product = runner.ours("gemm", sizes[-1], b)["cpu"]
    bars.figures[f"{name}-scale"] = dict(zip(map(str, sizes), found, strict=True))
    bars.bar(f"{name}-products", found[-1]["cpu"] / product, "<=", PRODUCTS)
    bars.bar(f"{name}-GiB", found[-1]["bytes"] / 2**30, "<=", GIB)
    took = np.log([max(f["cpu"], LEAST) for f in found])
    if np.isfinite(took).all() and len(sizes) > 1:
        bars.bar(f"{name}-exponent", float(np.polyfit(np.log(sizes), took, 1)[0]), "<=", EXPONENT)


def install(folder: Path) -> Path | None:
    """An interpreter with the peers; None where they cannot be had."""
    python = folder / "peers" / "bin" / "python"
    if not python.exists():
        print("installing the peers (some minutes)", file=sys.stderr, flush=True)
        venv.create(folder / "peers", with_pip=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", HERE / "peers.txt"], check=False, capture_output=True
    )
    return python if done.returncode == 0 else None


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", nargs="+", help="names of strategies")
    parser.add_argument("--peers", type=Path, help="an interpreter that has the peers")
    parser.add_argument("--keep", type=Path, help="folder where figures are kept, to go on from")
    parser.add_argument("--part", choices=("peers", "scale"), help="one of the two")
    options = parser.parse_args()
    one_thread()
    bars = Bars()
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        wanted = options.only or STRATEGIES.names()
        if options.part != "scale":
            peers = options.peers or (None if options.quick else install(keep))
            _peers(Runner(keep, peers), wanted, options.quick, bars)
        if options.part != "peers":
            _scale(Runner(keep, None), wanted, options.quick, bars)
    return bars.done(options.json)


def _peers(runner: Runner, wanted: list[str], quick: bool, bars: Bars) -> None:
    for name in MATCHES:
        if name in wanted:
            if quick and runner.peers is None:
                bars.long(f"{name}-time", "peers have to be installed")
            elif quick and name in ("k-center", "lcmd", "typiclust"):
                bars.long(f"{name}-time", "peers take minutes")
            else:
                compare(runner, name, 100_000 if quick else 1_000_000, 100, bars)


def _scale(runner: Runner, wanted: list[str], quick: bool, bars: Bars) -> None:
    sizes = (100_000,) if quick else (10_000, 100_000, 1_000_000)
    for name in STRATEGIES.names():
        if name not in wanted:
            continue
        if quick and name not in ("badge", "entropy", "lcmd"):
            bars.long(f"{name}-products", "a process of its own for each size")
        else:
            scale(runner, name, sizes, 1_000, bars)


if __name__ == "__main__":
    sys.exit(main())
