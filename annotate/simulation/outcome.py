"""What a simulation shows: figures for every strategy, and a verdict in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from annotate.simulation.curves import Curves, areas_together, draws, interval, mean_interval
from annotate.simulation.savings import SHARES, Reach, reaches
from annotate.simulation.schedule import BASE, Runs, Unit, asks_questions
from annotate.simulation.statistics import ERROR, FEWEST_SEEDS, duels, holm, seeds_needed, wilcoxon
from annotate.wording import counted, either

Array = NDArray[np.float64]
UNITS = ("labels", "seconds")


@dataclass(frozen=True, slots=True)
class Standing:
    """One strategy; scores as shares of one."""

    name: str
    area: float
    """Mean height of the learning curve, over the samples; over rater seconds where runs ask single
    questions."""
    area_low: float
    area_high: float
    gain: float
    """Area minus that of uniform, the mean over the seeds."""
    gain_low: float
    gain_high: float
    normalised: float | None
    """Gain over what there is to gain: the score with all labels minus the area of uniform. None where there
    is nothing to gain."""
    normalised_low: float | None
    normalised_high: float | None
    p: float | None
    """Of the gain, after Holm's correction; None for uniform, and with too few seeds."""
    last: float
    """Score at the end."""
    select_seconds: float
    """Of the processor, for one batch: the median."""
    select_bytes: int | None
    """The most that choosing a batch took."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Of all strategies."""

    runs: Runs
    curves: Mapping[str, Curves]
    full: Array
    """(seeds,) score with every label."""
    headroom: float
    """The mean of that, minus the mean area of uniform."""
    headroom_low: float
    headroom_high: float
    standings: Mapping[str, Standing]
    reach: Mapping[float, Mapping[str, Mapping[str, Reach]]]
    """By share of the full score, by unit, by strategy."""
    duels: Sequence[Mapping[str, str | int]]
    batches: Mapping[str, Mapping[str, float | None]]
    """By strategy: the mean of what the batches were like, see `diagnostics`."""
    verdict: Sequence[str]


def outcome(runs: Runs) -> Outcome:
    """Work everything out."""
    curves = {name: Curves.of([runs.points[Unit(name, seed)] for seed in runs.seeds]) for name in runs.names}
    over = "seconds" if any(map(asks_questions, runs.names)) else "samples"
    areas = areas_together(curves, over)
    full = np.array([runs.full[seed].score for seed in runs.seeds])
    room = full - areas[BASE]
    low, high = mean_interval(room)
    p = _chances(areas, len(runs.seeds))
    standings = {name: _standing(name, runs, curves[name], areas, room, low > 0, p) for name in runs.names}
    target = float(full.mean())
    reach = {
        share: {unit: reaches(curves, BASE, share * target, unit, headroom=low > 0) for unit in UNITS}
        for share in SHARES
    }
    made = Outcome(
        runs, curves, full, float(room.mean()), low, high, standings, reach, duels(areas),
        {name: _batches(runs, name) for name in runs.names}, (),
    )  # fmt: skip
    return replace(made, verdict=_verdict(made))


def _chances(areas: Mapping[str, Array], seeds: int) -> dict[str, float]:
    """By strategy other than uniform; nothing with too few seeds."""
    if seeds < FEWEST_SEEDS:
        return {}
    return holm({name: wilcoxon(found, areas[BASE]) for name, found in areas.items() if name != BASE})


def _standing(
    name: str, runs: Runs, found: Curves, areas: Mapping[str, Array], room: Array, to_gain: bool,
    p: Mapping[str, float],
) -> Standing:  # fmt: skip
    gains = areas[name] - areas[BASE]
    drawn = draws(len(gains))
    shares = gains[drawn].mean(axis=1) / np.where(
        room[drawn].mean(axis=1) > 0, room[drawn].mean(axis=1), np.nan
    )
    ends = interval(shares[np.isfinite(shares)]) if to_gain else (None, None)
    points = [point for seed in runs.seeds for point in runs.points[Unit(name, seed)]]
    seconds = [point.select_seconds for point in points if point.select_seconds is not None]
    memory = [point.select_bytes for point in points if point.select_bytes is not None]
    low, high = mean_interval(areas[name])
    least, most = mean_interval(gains)
    return Standing(
        name=name,
        area=float(areas[name].mean()),
        area_low=low,
        area_high=high,
        gain=float(gains.mean()),
        gain_low=least,
        gain_high=most,
        normalised=float(gains.mean() / room.mean()) if to_gain else None,
        normalised_low=ends[0],
        normalised_high=ends[1],
        p=p.get(name),
        last=float(found.score[:, -1].mean()),
        select_seconds=median(seconds) if seconds else 0.0,
        select_bytes=max(memory) if memory else None,
    )


def _batches(runs: Runs, name: str) -> dict[str, float | None]:
    """Means over the batches that the strategy chose: the start set is not its own."""
    batches = [point.batch for seed in runs.seeds for point in runs.points[Unit(name, seed)][1:]]
    found: dict[str, float | None] = {}
    for key in batches[0] if batches else ():
        values = [value for batch in batches if (value := batch[key]) is not None]
        found[key] = float(np.mean(values)) if values else None
    return found


def _verdict(found: Outcome) -> list[str]:
    seeds, others = len(found.runs.seeds), [name for name in found.runs.names if name != BASE]
    lines = []
    if found.headroom_low <= 0:
        lines.append(
            "no headroom: with all labels the model is no better than with what uniform draws bring on the "
            "way, so no strategy can be told from another here"
        )
    if seeds < FEWEST_SEEDS:
        prove = f"{counted(seeds, 'seed')} {either(seeds, 'proves', 'prove')}"
        return [*lines, f"{prove} nothing: use --seeds {seeds_needed(len(others))} or more"]
    better = [name for name in others if _is(found.standings[name], 1)]
    lines += [_better(found, name) for name in sorted(better, key=lambda n: -found.standings[n].gain)]
    worse = [name for name in others if _is(found.standings[name], -1)]
    lines += [f"{name} is worse than uniform, {_said(found.standings[name])}" for name in worse]
    level = [name for name in others if name not in (*better, *worse)]
    lines += [f"no detectable gain of {name}, {_said(found.standings[name])}" for name in level]
    if level and seeds < seeds_needed(len(others)):
        lines.append(
            f"{counted(seeds, 'seed')} cannot show a gain among "
            f"{counted(len(others), 'strategy', 'strategies')}, not even "
            "one with every seed: "
            f"use --seeds {seeds_needed(len(others))} or more"
        )
    return lines


def _is(standing: Standing, sign: int) -> bool:
    return standing.p is not None and standing.p < ERROR and sign * standing.gain > 0


def _better(found: Outcome, name: str) -> str:
    line = f"{name} is better than uniform, {_said(found.standings[name])}"
    reach, fewer = found.reach[0.95]["labels"][name], ""
    if reach.saved is not None and reach.saved_low is not None and reach.saved_low > 0:
        low, high = 100 * reach.saved_low, 100 * (reach.saved_high or 0.0)
        fewer = f"{100 * reach.saved:.0f} % ({low:.0f} to {high:.0f})"
    elif reach.at_least is not None and reach.at_least > 0 and reach.high is not None:
        fewer = f"{100 * reach.at_least:.0f} % or more"
    return (
        f"{line}; to 95 % of the score with all labels it needs fewer labels, by {fewer}" if fewer else line
    )


def _said(standing: Standing) -> str:
    low, high = 100 * standing.gain_low, 100 * standing.gain_high
    p = "" if standing.p is None else f", p = {standing.p:.2g}"
    return f"by {100 * standing.gain:+.1f} points on average ({low:+.1f} to {high:+.1f}{p})"
