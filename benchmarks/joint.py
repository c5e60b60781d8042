"""Whether single questions save raters' time against whole samples, where there is something to save.

    python -m benchmarks.joint [--quick] [--strategy NAME] [--plant NAMES] [--seeds FROM-TO] [--keep DIR]
                               [--json FILE]

The loop is replayed on made-up projects with four passes. In `levels` the tasks get harder from M over A and
V to T, and T is the cheapest to ask: time can be saved by asking what is not learned yet. In `even` all tasks
are as hard and as dear as each other and none helps another; in `related` all are the same: nothing can be
saved but by luck. Both ways of asking start with the same samples, choose with the same strategy and get the
same rater seconds per round. What is compared is the rater seconds until the mean score over the tasks is 95
% of that with every label. Costs are learned from made-up lead times around planted ones. Runs are kept in
`--keep` and not done again. The plants and the settings were looked at with seeds 100 and 101.
"""

import json
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotate.batch.costs import Costs, LeadTime, PassCost, learn
from annotate.config.sections import CostSettings
from annotate.learning.model_config import ModelConfig
from annotate.learning.threads import one_thread
from annotate.simulation.curves import Curves
from annotate.simulation.replay import CurvePoint, Run, full
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.savings import reaches
from annotate.simulation.schedule import ReplaySchedule
from annotate.types import Modality
from benchmarks._bars import Bars, arguments
from benchmarks._generated import Plan as Made
from benchmarks._generated import generate
from benchmarks._replay_data import make_replay_data

T, A, V, M = Modality
WHOLE, SINGLE = "whole", "single"
SHARE = 0.95
"""Of the score with all labels."""
SEEDS = range(5)
RECIPE = ModelConfig(hidden=24, members=5, epochs=80, patience=10, learning_rate=3e-3)
"""Small and quick: what is shown is the way of asking."""
PLAN = ReplaySchedule(20, 20, 240)
SAMPLES, GROUPS, POOL = 700, 30, 240


@dataclass(frozen=True)
class Plant:
    """A kind of made-up project, and what single questions may take of the time of whole samples."""

    made: Mapping[str, Any]
    costs: Costs
    limit: float


EVEN = {m: PassCost(8.0, 0.0) for m in Modality}
PLANTS = {
    "levels": Plant(
        {
            "task_levels": True,
            "tasks": ("sentiment.M", "sentiment.A", "sentiment.V", "sentiment.T"),
            "noise": 0.2,
        },
        {T: PassCost(5.0, 0.0), A: PassCost(10.0, 0.0), V: PassCost(10.0, 0.0), M: PassCost(12.0, 0.0)},
        0.75,
    ),
    "even": Plant({"relatedness": 0.0, "own_view": True, "noise": 0.3}, EVEN, 1.05),
    "related": Plant({"relatedness": 1.0, "noise": 0.3}, EVEN, 1.05),
}


def world(plant: Plant, seed: int, quick: bool) -> ReplayData:
    """A project of its own for each seed."""
    corpus = generate(Made(samples=SAMPLES, groups=GROUPS, **plant.made), np.random.default_rng(seed))
    config = replace(RECIPE, members=2, epochs=10) if quick else RECIPE
    return replace(make_replay_data(corpus, config, pool=POOL, valid=80, test=250), costs=plant.costs)


def runs(name: str, seed: int, options: Namespace) -> dict[str, list[CurvePoint]]:
    """Both ways of asking, and one point with every label."""
    made = world(PLANTS[name], seed, options.quick)
    plan = ReplaySchedule(20, 20, 60) if options.quick else PLAN
    with one_thread():
        return {
            "full": [full(made, plan, seed)],
            WHOLE: list(Run(made, plan, options.strategy, seed).rounds()),
            SINGLE: list(Run(made, plan, options.strategy, seed, whole=False).rounds()),
        }


def kept(name: str, seed: int, options: Namespace, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """(rater seconds, score) of every round, from the folder or made now."""
    path = folder / f"{name}-{options.strategy}-{seed}{'-quick' if options.quick else ''}.json"
    if not path.is_file():
        found = runs(name, seed, options)
        path.write_text(json.dumps({way: [(p.seconds, p.score) for p in run] for way, run in found.items()}))
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def compare(name: str, options: Namespace, folder: Path, bars: Bars) -> None:
    """One plant."""
    found = [kept(name, seed, options, folder) for seed in _seeds(options)]
    curves = {way: _curves([one[way] for one in found]) for way in (WHOLE, SINGLE)}
    target = SHARE * float(np.mean([one["full"][0][1] for one in found]))
    reached = reaches(curves, WHOLE, target, "seconds")
    whole, single = reached[WHOLE].needed, reached[SINGLE].needed
    print(
        f"{name:<9}{len(found)} seeds, score with all labels {target / SHARE:.3f}; seconds to {target:.3f}: "
        f"whole {_told(whole)}, single {_told(single)}; saved {_told(reached[SINGLE].saved, 2)} "
        f"[{_told(reached[SINGLE].saved_low, 2)}, {_told(reached[SINGLE].saved_high, 2)}]",
        flush=True,
    )
    if not options.quick:
        ratio = np.inf if single is None or whole is None else single / whole
        bars.bar(f"seconds-{name}", ratio, "<=", PLANTS[name].limit)


def _curves(runs: Sequence[Sequence[tuple[float, float]]]) -> Curves:
    length = min(len(run) for run in runs)
    table = np.array([run[:length] for run in runs], dtype=float)
    return Curves(table[:, :, 0], table[:, :, 0], table[:, :, 0], table[:, :, 1])


def _told(value: float | None, digits: int = 0) -> str:
    return "never" if value is None else f"{value:.{digits}f}"


def _seeds(options: Namespace) -> range:
    if not options.seeds:
        return range(2) if options.quick else SEEDS
    first, _, last = options.seeds.partition("-")
    return range(int(first), int(last or first) + 1)


def learned_costs(bars: Bars) -> None:
    """Planted seconds per pass against those learned from 200 answers each, with breaks and slow raters."""
    prior = {m: PassCost(*said) for m, said in CostSettings().by_pass(1).items()}
    rng = np.random.default_rng(0)
    planted = {m: PassCost(*rng.uniform((2, 0), (20, 3))) for m in Modality}
    told = [
        LeadTime(m, length, _taken(cost, length, rng))
        for m, cost in planted.items()
        for length in rng.uniform(1, 10, 200)
    ]
    found, lengths = learn(prior, told), np.array([2.0, 5.0, 9.0])
    off = [float(np.abs(found[m].of(lengths) / cost.of(lengths) - 1).max()) for m, cost in planted.items()]
    print(
        "costs    planted and learned seconds of a clip of 5 s: "
        + ", ".join(f"{m} {planted[m].of(lengths)[1]:.1f} {found[m].of(lengths)[1]:.1f}" for m in Modality)
    )
    bars.bar("learned-costs", max(off), "<=", 0.1)


def _taken(cost: PassCost, length: float, rng: np.random.Generator) -> float:
    """Raters differ by a third; one answer in twenty was interrupted."""
    seconds = (cost.fixed + cost.rate * length) * rng.lognormal(-0.045, 0.3)
    return float(seconds * rng.uniform(20, 99) if rng.random() < 0.05 else seconds)


def main() -> int:
    """All plants; exit 1 when a bar is short."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--strategy", default="bald")
    parser.add_argument("--plant", default=",".join(PLANTS))
    parser.add_argument("--seeds", default="", help="as 0-4")
    parser.add_argument("--keep", type=Path)
    options, bars = parser.parse_args(), Bars()
    learned_costs(bars)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        each = partial(compare, options=options, folder=folder, bars=bars)
        for name in options.plant.split(","):
            each(name)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
