"""The result of a simulation: figures for every strategy, and a verdict in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.curves import Curves, areas_together, draws, interval, mean_interval
from annotate.simulation.runner import BASE, RunKey, Runs, asks_questions
from annotate.simulation.savings import SHARES, Reach, reaches
from annotate.simulation.statistics import ERROR, FEWEST_SEEDS, duels, holm, seeds_needed, wilcoxon
from annotate.wording import counted, either

Array = NDArray[np.float64]
UNITS = ("labels", "seconds")


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """The figures of one strategy; scores are between 0 and 1."""

    name: str
    area: float
    """Mean height of the learning curve over the samples, or over rater seconds if any run asks single
    questions."""
    area_low: float
    area_high: float
    gain: float
    """Area minus that of uniform, averaged over the seeds."""
    gain_low: float
    gain_high: float
    normalised: float | None
    """Gain divided by the headroom: the score with all labels minus the area of uniform. None without
    headroom."""
    normalised_low: float | None
    normalised_high: float | None
    p: float | None
    """p-value of the gain, with Holm's correction; None for uniform, and with too few seeds."""
    last: float
    """Score after the last round."""
    select_seconds: float
    """Median processor time to choose a batch."""
    select_bytes: int | None
    """Highest peak memory of choosing a batch."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of all strategies."""

    runs: Runs
    curves: Mapping[str, Curves]
    full: Array
    """(seeds,) score with every label."""
    headroom: float
    """Mean of `full` minus the mean area of uniform."""
    headroom_low: float
    headroom_high: float
    results: Mapping[str, StrategyResult]
    reach: Mapping[float, Mapping[str, Mapping[str, Reach]]]
    """By share of the full score, by unit, by strategy."""
    duels: Sequence[Mapping[str, str | int]]
    batches: Mapping[str, Mapping[str, float | None]]
    """By strategy: mean figures of its batches, see `diagnostics`."""
    verdict: Sequence[str]


def outcome(runs: Runs) -> Outcome:
    """Compute every figure and the verdict."""
    curves = {
        name: Curves.of([runs.points[RunKey(name, seed)] for seed in runs.seeds]) for name in runs.names
    }
    over = "seconds" if any(map(asks_questions, runs.names)) else "samples"
    areas = areas_together(curves, over)
    full = np.array([runs.full[seed].score for seed in runs.seeds])
    room = full - areas[BASE]
    low, high = mean_interval(room)
    p: dict[str, float] = {}
    if len(runs.seeds) >= FEWEST_SEEDS:
        p = holm({name: wilcoxon(area, areas[BASE]) for name, area in areas.items() if name != BASE})
    results = {name: _result(name, runs, curves[name], areas, room, low > 0, p) for name in runs.names}
    target = float(full.mean())
    reach = {
        share: {unit: reaches(curves, BASE, share * target, unit, headroom=low > 0) for unit in UNITS}
        for share in SHARES
    }
    result = Outcome(
        runs, curves, full, float(room.mean()), low, high, results, reach, duels(areas),
        {name: _batches(runs, name) for name in runs.names}, (),
    )  # fmt: skip
    return replace(result, verdict=_verdict(result))


def _result(
    name: str, runs: Runs, curves: Curves, areas: Mapping[str, Array], room: Array, has_headroom: bool,
    p: Mapping[str, float],
) -> StrategyResult:  # fmt: skip
    gains = areas[name] - areas[BASE]
    drawn = draws(len(gains))
    shares = gains[drawn].mean(axis=1) / np.where(
        room[drawn].mean(axis=1) > 0, room[drawn].mean(axis=1), np.nan
    )
    bounds = interval(shares[np.isfinite(shares)]) if has_headroom else (None, None)
    points = [point for seed in runs.seeds for point in runs.points[RunKey(name, seed)]]
    seconds = [point.select_seconds for point in points if point.select_seconds is not None]
    memory = [point.select_bytes for point in points if point.select_bytes is not None]
    low, high = mean_interval(areas[name])
    least, most = mean_interval(gains)
    return StrategyResult(
        name=name,
        area=float(areas[name].mean()),
        area_low=low,
        area_high=high,
        gain=float(gains.mean()),
        gain_low=least,
        gain_high=most,
        normalised=float(gains.mean() / room.mean()) if has_headroom else None,
        normalised_low=bounds[0],
        normalised_high=bounds[1],
        p=p.get(name),
        last=float(curves.score[:, -1].mean()),
        select_seconds=median(seconds) if seconds else 0.0,
        select_bytes=max(memory) if memory else None,
    )


def _batches(runs: Runs, name: str) -> dict[str, float | None]:
    """Means over the batches that the strategy chose, so without the start set."""
    batches = [point.batch for seed in runs.seeds for point in runs.points[RunKey(name, seed)][1:]]
    means: dict[str, float | None] = {}
    for key in batches[0] if batches else ():
        values = [value for batch in batches if (value := batch[key]) is not None]
        means[key] = float(np.mean(values)) if values else None
    return means


def _verdict(result: Outcome) -> list[str]:
    seeds, others = len(result.runs.seeds), [name for name in result.runs.names if name != BASE]
    lines = []
    if result.headroom_low <= 0:
        lines.append(
            "no headroom: with all labels the model is no better than with what uniform draws bring on the "
            "way, so no strategy can be told from another here"
        )
    if seeds < FEWEST_SEEDS:
        prove = f"{counted(seeds, 'seed')} {either(seeds, 'proves', 'prove')}"
        return [*lines, f"{prove} nothing: use --seeds {seeds_needed(len(others))} or more"]
    significant = {n: p is not None and p < ERROR for n in others for p in [result.results[n].p]}
    gains = {name: result.results[name].gain for name in others}
    better = [name for name in others if significant[name] and gains[name] > 0]
    lines += [_better(result, name) for name in sorted(better, key=lambda n: -gains[n])]
    worse = [name for name in others if significant[name] and gains[name] < 0]
    lines += [f"{name} is worse than uniform, {_gain_text(result.results[name])}" for name in worse]
    level = [name for name in others if name not in (*better, *worse)]
    lines += [f"no detectable gain of {name}, {_gain_text(result.results[name])}" for name in level]
    if level and seeds < seeds_needed(len(others)):
        lines.append(
            f"{counted(seeds, 'seed')} cannot show a gain among "
            f"{counted(len(others), 'strategy', 'strategies')}, not even "
            "one with every seed: "
            f"use --seeds {seeds_needed(len(others))} or more"
        )
    return lines


def _better(result: Outcome, name: str) -> str:
    line = f"{name} is better than uniform, {_gain_text(result.results[name])}"
    reach, fewer = result.reach[0.95]["labels"][name], ""
    if reach.saved is not None and reach.saved_low is not None and reach.saved_low > 0:
        low, high = 100 * reach.saved_low, 100 * (reach.saved_high or 0.0)
        fewer = f"{100 * reach.saved:.0f} % ({low:.0f} to {high:.0f})"
    elif reach.at_least is not None and reach.at_least > 0 and reach.high is not None:
        fewer = f"{100 * reach.at_least:.0f} % or more"
    return (
        f"{line}; to 95 % of the score with all labels it needs fewer labels, by {fewer}" if fewer else line
    )


def _gain_text(result: StrategyResult) -> str:
    low, high = 100 * result.gain_low, 100 * result.gain_high
    p = "" if result.p is None else f", p = {result.p:.2g}"
    return f"by {100 * result.gain:+.1f} points on average ({low:+.1f} to {high:+.1f}{p})"
