"""How much work each query strategy saves: the loop replayed on labelled sets with our own model.

    python -m benchmarks.label_efficiency --data DIR [--keep DIR] [--set A,B] [--strategies A,B]
                                          [--seeds FROM-TO] [--jobs N] [--quick] [--json FILE]

`auto` and uniform run with 20 seeds, the rest with 5 where there is headroom. The options of `auto` were
chosen with other seeds (`CHOSEN_BY`; `--seeds 100-104` runs them), but on the same sets with the same test
samples. The best fixed strategy is told by the five seeds and judged, like `auto`, by the fifteen others.
Finished runs are kept in `--keep` and not done again, so that parts can be run one by one, side by side, and
printed together.
`--quick` replays a made-up set with a small model: that the machinery works, not how good anything is.
"""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.console import Terminal
from annotate.errors import ModelError
from annotate.learning.model_config import ModelConfig
from annotate.registry import STRATEGIES
from annotate.simulation.curves import Curves, mean_interval
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.runner import BASE, RunKey, open_run_store, rehearse, require_strategies, simulate
from annotate.simulation.schedule import ReplaySchedule
from annotate.simulation.statistics import wilcoxon
from annotate.types import Kind
from benchmarks._bars import Bars, arguments
from benchmarks._generated import Plan as Made
from benchmarks._generated import generate
from benchmarks._replay_data import make_replay_data
from benchmarks._sets import LOADERS, Corpus, emotiontalk

Array = NDArray[np.float64]

AUTO = "auto"
JUDGED_BY = range(20)
FEW = range(5)
"""Of these, for all but `auto` and uniform."""
OTHERS = JUDGED_BY[len(FEW) :]
"""What the best of the few is judged by."""
CHOSEN_BY = range(100, 105)
STANDING_ON = ("power:bald", "softmax:bald", "softrank:bald")
"""In place of the bare names: strategies that stand on another one."""
RAVDESS_TESTS = ("actor_10", "actor_11", "actor_12")


@dataclass(frozen=True)
class Set:
    """One labelled set, and how far it is replayed."""

    name: str
    plan: ReplaySchedule
    headroom: bool
    """Whether the data's own description says that more labels help."""
    pool: int = 1500
    tests: Sequence[str] = ()


SETS = (
    Set("ravdess", ReplaySchedule(40, 60, 280), True, tests=RAVDESS_TESTS),
    Set("pom", ReplaySchedule(40, 90, 400), True),
    Set("emobank", ReplaySchedule(60, 120, 540), True),
    Set("emotiontalk", ReplaySchedule(30, 60, 270), True, pool=1200),
    Set("meld-audio", ReplaySchedule(60, 120, 540), True),
    Set("youtube-opinion", ReplaySchedule(20, 40, 140), False),
)
QUICK = Set("generated", ReplaySchedule(20, 20, 60), True)


def load(one: Set, data: Path | None) -> ReplayData:
    """The world of a set; a made-up one for `QUICK`."""
    if one is QUICK or data is None:
        kinds = {"sentiment.M": Kind.CLASSIFICATION, "sentiment.T": Kind.REGRESSION}
        made = generate(
            Made(samples=300, groups=12, tasks=tuple(kinds), kinds=kinds), np.random.default_rng(1)
        )
        return make_replay_data(made, ModelConfig(members=2, hidden=8, epochs=20, patience=5))
    folder, read = LOADERS[one.name]
    by_dialogue: Callable[[Path], Corpus] = partial(emotiontalk, by="dialogue")
    corpus = (by_dialogue if one.name == "emotiontalk" else read)(data / folder)
    return make_replay_data(corpus, ModelConfig(), pool=one.pool, tests=one.tests)


@dataclass(frozen=True)
class Kept:
    """What the cells of one set say."""

    one: Set
    areas: dict[RunKey, float]
    """Of each run that is finished."""
    full: dict[int, float]
    last: dict[RunKey, float]
    seconds: dict[str, list[float]]
    """By strategy: of the processor, for each batch."""
    cells: list[float]
    """Processor seconds of each training, choice aside."""
    fits: frozenset[str] = frozenset()
    """Every strategy that can rank the set's tasks with our model, whether it was run or not."""

    def gains(self, name: str, seeds: Sequence[int]) -> Array:
        """(some,) areas minus those of uniform, for the seeds that both were run with."""
        return np.array(
            [self.areas[RunKey(name, s)] - self.areas[RunKey(BASE, s)] for s in self.of(name, seeds)]
        )

    def of(self, name: str, seeds: Sequence[int]) -> list[int]:
        """The seeds that a strategy, uniform and all labels were run with."""
        return [
            s
            for s in seeds
            if RunKey(name, s) in self.areas and RunKey(BASE, s) in self.areas and s in self.full
        ]

    def room(self, seeds: Sequence[int]) -> Array:
        """(some,) score with all labels minus the area of uniform."""
        return np.array([self.full[s] - self.areas[RunKey(BASE, s)] for s in self.of(BASE, seeds)])

    def normalised(self, name: str, seeds: Sequence[int]) -> float:
        """Mean gain over mean headroom, of all seeds that there are; NaN where nothing was run."""
        gains, room = self.gains(name, seeds), self.room([*JUDGED_BY, *CHOSEN_BY])
        return float(gains.mean() / room.mean()) if len(gains) and len(room) else float("nan")


def run(one: Set, options: Namespace, keep: Path) -> Kept:
    """Do what is not done yet, and read everything that was asked for."""
    world = load(one, options.data)
    folder, terminal = keep / one.name, Terminal()
    fits = _fitting(world, one.plan)
    names = [n for n in options.strategies.split(",") if n not in ("", BASE)]
    names = names or (fits if one.headroom else [AUTO])
    for some, seeds in _work(names, options):
        opened = partial(load, one, options.data)
        simulate(
            world,
            one.plan,
            some,
            seeds,
            folder,
            open_replay_data=opened,
            jobs=options.jobs,
            progress=terminal,
        )
    return replace(_read(one, world, folder, [BASE, *names]), fits=frozenset(fits))


def _work(names: Sequence[str], options: Namespace) -> list[tuple[list[str], list[int]]]:
    """(strategies, seeds) one after the other."""
    if options.seeds:
        first, _, last = options.seeds.partition("-")
        return [([BASE, *names], list(range(int(first), int(last or first) + 1)))]
    if options.quick:
        return [([BASE, *names], list(FEW)[:3])]
    return [
        ([BASE, *names], list(FEW)),
        ([BASE, *(name for name in names if name == AUTO)], list(JUDGED_BY)),
    ]


def _fitting(world: ReplayData, plan: ReplaySchedule) -> list[str]:
    """Strategies that can rank the set's tasks with what our model says of them."""
    bare = [name for name in STRATEGIES.names() if f"{name}:bald" not in STANDING_ON]
    standing = [name for name in STANDING_ON if name.partition(":")[0] in STRATEGIES.names()]
    found = []
    for name in (*bare, *standing):
        try:
            require_strategies(world, [name])
            rehearse(world, plan, RunKey(name, JUDGED_BY[0]))
        except ModelError as error:
            print(f"without {name}: {error}", flush=True)
            continue
        found.append(name)
    return [name for name in found if name != BASE]


def _read(one: Set, world: ReplayData, folder: Path, names: Sequence[str]) -> Kept:
    cells = open_run_store(world, one.plan, folder)
    kept = Kept(one, {}, {}, {}, {}, [])
    for seed in (*JUDGED_BY, *CHOSEN_BY):
        for point in cells.read("all labels", seed):
            kept.full[seed] = point.score
        for name in names:
            points = cells.read(name, seed)
            if len(points) == len(one.plan.budgets()):
                kept.areas[RunKey(name, seed)] = float(Curves.of([points]).areas()[0])
                kept.last[RunKey(name, seed)] = points[-1].score
                spent = [p.select_seconds for p in points if p.select_seconds is not None]
                kept.seconds.setdefault(name, []).extend(spent)
                kept.cells.extend(p.train_seconds for p in points[1:] if p.train_seconds is not None)
    return kept


def show(kept: Sequence[Kept], bars: Bars) -> None:
    """The table of all strategies, with the seeds that choose and with those that judge."""
    names = list(dict.fromkeys(unit.name for one in kept for unit in one.areas if unit.name != BASE))
    for one in kept:
        seeds = [*JUDGED_BY, *CHOSEN_BY]
        room = one.room(seeds)
        if not len(room):
            continue
        low, high = mean_interval(room)
        full, base = (
            np.mean(list(one.full.values())),
            np.mean([one.areas[RunKey(BASE, s)] for s in one.of(BASE, seeds)]),
        )
        print(
            f"{one.one.name}: all labels {100 * full:.1f}, area of uniform {100 * base:.1f}, headroom "
            f"{100 * room.mean():.1f} ({100 * low:.1f} to {100 * high:.1f}), seeds {len(room)}; "
            f"seconds of a cell {np.mean(one.cells or [np.nan]):.1f}"
        )  # fmt: skip
    print(
        f"\nnormalised area (%), {'chosen by / judged by':<24}"
        + "".join(f"{k.one.name:>18}" for k in kept)
        + f"{'mean':>16}"
    )
    rows = sorted(names, key=lambda n: -_mean(kept, n, JUDGED_BY))
    for name in rows:
        cells = [_pair(one.normalised(name, CHOSEN_BY), one.normalised(name, JUDGED_BY)) for one in kept]
        mean = _pair(_mean(kept, name, CHOSEN_BY), _mean(kept, name, JUDGED_BY))
        print(f"{name:<46}" + "".join(f"{cell:>18}" for cell in cells) + f"{mean:>16}")
    bars.figures["sets"] = {
        one.one.name: {
            name: {
                "plan": asdict(one.one.plan),
                "area": {str(s): one.areas[RunKey(name, s)] for s in one.of(name, [*JUDGED_BY, *CHOSEN_BY])},
                "chosen": one.normalised(name, CHOSEN_BY),
                "judged": one.normalised(name, JUDGED_BY),
                "select_seconds": float(np.median(one.seconds[name])) if one.seconds.get(name) else None,
            }
            for name in (BASE, *names)
        }
        for one in kept
    }  # fmt: skip


def _pair(chosen: float, judged: float) -> str:
    return " / ".join("-" if np.isnan(value) else f"{100 * value:+.1f}" for value in (chosen, judged))


def _mean(kept: Sequence[Kept], name: str, seeds: Sequence[int]) -> float:
    """Over the sets with headroom that the strategy was run on; NaN where there is none."""
    found = [one.normalised(name, seeds) for one in kept if one.one.headroom]
    found = [value for value in found if not np.isnan(value)]
    return float(np.mean(found)) if found else float("nan")


def judge(kept: Sequence[Kept], bars: Bars) -> None:
    """The bars; they are long until every set has the runs that they need."""
    rooms = [one for one in kept if one.one.headroom]
    complete = all(len(one.of(AUTO, JUDGED_BY)) == len(JUDGED_BY) for one in kept)
    if len(kept) < len(SETS) or not complete:
        for name in ("auto_gain", "auto_p", "auto_won", "auto_of_best_fixed", "auto_harm_p"):
            bars.long(f"label_efficiency_{name}", "auto and uniform with all seeds on every set")
        return
    for one in rooms:  # what a gain is a share of
        bars.bar(f"label_efficiency_room_{one.one.name}", mean_interval(one.room(JUDGED_BY))[0], ">=", 0.0)
    gains = [one.gains(AUTO, JUDGED_BY) / one.room(JUDGED_BY).mean() for one in rooms]
    strata = np.concatenate([np.full(len(g), k) for k, g in enumerate(gains)]).astype(np.intp)
    together = np.concatenate(gains)
    bars.bar("label_efficiency_auto_gain", float(np.mean([g.mean() for g in gains])), ">=", 0.0)
    bars.bar("label_efficiency_auto_p", wilcoxon(together, np.zeros(len(together)), strata), "<=", 0.05)
    bars.bar("label_efficiency_auto_won", float((together > 0).mean()), ">=", 0.5)
    _against_the_best(rooms, bars)
    flat = [one.gains(AUTO, JUDGED_BY) for one in kept if not one.one.headroom]
    p = [1.0 if g.mean() >= 0 else wilcoxon(g, np.zeros(len(g))) for g in flat]
    bars.bar("label_efficiency_auto_harm_p", min(p), ">=", 0.05)


def _best_fixed(rooms: Sequence[Kept]) -> str | None:
    """The one that gains most with the few seeds; None until all that fit every set were run with them."""
    fixed = sorted(frozenset.intersection(*(one.fits for one in rooms)) - {AUTO, BASE})
    if any(len(one.of(name, FEW)) < len(FEW) for one in rooms for name in fixed):
        return None
    return max(fixed, key=lambda name: _mean(rooms, name, FEW))


def with_the_best(kept: Sequence[Kept], options: Namespace, keep: Path) -> list[Kept]:
    """What was kept, and the best fixed strategy of the few seeds with all seeds."""
    rooms = [one for one in kept if one.one.headroom]
    best = _best_fixed(rooms) if rooms else None
    if best is None or options.seeds:
        return list(kept)
    more = Namespace(**{**vars(options), "strategies": best, "seeds": f"0-{JUDGED_BY[-1]}"})
    found = {one.one.name: run(one.one, more, keep).areas for one in rooms}
    return [replace(one, areas={**one.areas, **found.get(one.one.name, {})}) for one in kept]


def _against_the_best(rooms: Sequence[Kept], bars: Bars) -> None:
    """The best of the few seeds and `auto`, both judged with the other seeds."""
    best = _best_fixed(rooms)
    if best is None or any(len(one.of(best, JUDGED_BY)) < len(JUDGED_BY) for one in rooms):
        bars.long("label_efficiency_auto_of_best_fixed", "the fixed strategies with their seeds on every set")
        return
    for seeds in (FEW, JUDGED_BY, OTHERS):  # the last judge
        theirs, ours = (_mean(rooms, name, seeds) for name in (best, AUTO))
        print(
            f"seeds {seeds[0]}-{seeds[-1]}: the best fixed strategy, {best}, gains {100 * theirs:+.1f} %, "
            f"auto {100 * ours:+.1f} %"
        )
    bars.bar("label_efficiency_auto_of_best_fixed", ours - 0.9 * max(theirs, 0.0), ">=", 0.0)


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--set", default="", help="names joined by commas; else all")
    parser.add_argument("--strategies", default="", help="names joined by commas; else all that fit")
    parser.add_argument("--seeds", default="", help="FROM-TO, for every strategy; else as the bars want them")
    parser.add_argument("--keep", type=Path, help="folder for finished cells, so that a later run goes on")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    sets = [QUICK] if options.quick or options.data is None else list(SETS)
    if options.set:
        sets = [one for one in sets if one.name in options.set.split(",")]
    if options.quick and not options.strategies:
        options.strategies = f"{AUTO},k-center"
    bars = Bars()
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        kept = [run(one, options, keep) for one in sets]
        if not options.quick and options.data is not None:
            kept = with_the_best(kept, options, keep)
    show(kept, bars)
    if options.quick or options.data is None:
        bars.long("label_efficiency", "real sets: --data")
    else:
        judge(kept, bars)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
