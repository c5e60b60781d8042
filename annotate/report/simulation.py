"""The report of a simulation: a page, a picture, and a table of all points."""

import csv
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import StringIO
from pathlib import Path

from annotate.durable import write_whole
from annotate.report.curves import names, picture
from annotate.simulation.outcome import Outcome, StrategyResult
from annotate.simulation.runner import RunKey
from annotate.simulation.savings import Reach

PAGE, PICTURE, POINTS = "report.html", "curves.png", "points.csv"


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in a table."""

    text: str
    kind: str = ""
    """``win`` or ``loss`` where that has a colour."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def write_report(outcome: Outcome, folder: Path, *, title: str, basis: str) -> dict[str, Path]:
    """Write all three into `folder`; their paths by what they are. Raises `OSError`."""
    image = picture(outcome)
    content = {
        "page": (PAGE, page(outcome, image, title, basis).encode()),
        "picture": (PICTURE, image),
        "points": (POINTS, points(outcome).encode()),
    }
    for name, data in content.values():
        write_whole(folder / name, data)
    return {what: folder / name for what, (name, _) in content.items()}


def page(outcome: Outcome, image: bytes, title: str, basis: str) -> str:
    """A self-contained HTML page."""
    from jinja2 import Environment

    text = files("annotate.report").joinpath("simulation.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True).from_string(text)
    return template.render(
        title=title,
        basis=basis,
        verdict=outcome.verdict,
        picture=b64encode(image).decode(),
        tables=[_results(outcome), *_reaches(outcome), _duels(outcome), _costs(outcome), _batches(outcome)],
    )


def points(outcome: Outcome) -> str:
    """CSV with a row per strategy, seed and round."""
    runs = outcome.runs
    first = next(iter(runs.points.values()))[0]
    tasks = sorted(first.scores)
    rounds = [p for run in runs.points.values() for p in run]
    measures = [(t, m) for t in tasks for m in sorted({m for p in rounds for m in p.scores[t]} - {"n"})]
    out = StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(
        ["strategy", "seed", "round", "samples", "labels", "rater_seconds", "score", "train_seconds",
         "select_seconds", "select_bytes", *first.batch, *(f"{task} {measure}" for task, measure in measures)]
    )  # fmt: skip
    for key in [RunKey(name, seed) for name in runs.names for seed in runs.seeds]:
        for k, p in enumerate(runs.points[key]):
            table.writerow(
                [key.name, key.seed, k, p.samples, p.labels, p.seconds, p.score, p.train_seconds,
                 p.select_seconds, p.select_bytes, *p.batch.values(),
                 *(p.scores[t].get(m) for t, m in measures)]
            )  # fmt: skip
    return out.getvalue()


def _results(outcome: Outcome) -> Table:
    def row(s: StrategyResult) -> list[Cell]:
        p = "-" if s.p is None else f"{s.p:.2g}"
        sign = "win" if s.p is not None and s.p < 0.05 and s.gain > 0 else ""
        sign = "loss" if s.p is not None and s.p < 0.05 and s.gain < 0 else sign
        return [
            Cell(s.name), Cell(_between(s.area, s.area_low, s.area_high)),
            Cell(_between(s.gain, s.gain_low, s.gain_high, "+"), sign),
            Cell(_between(s.normalised, s.normalised_low, s.normalised_high)), Cell(p), Cell(_points(s.last)),
        ]  # fmt: skip

    return Table(
        "Area under the learning curve",
        "Area: mean height of the curve, in points. Normalised: gain in % of the difference between uniform "
        "and the score with all labels. Intervals: 95 %, Student's t over the seeds; for the normalised "
        "gain, bootstrap over the seeds. p: Wilcoxon signed-rank test over the seeds against uniform, "
        "Holm-corrected.",
        ("strategy", "area", "gain over uniform", "normalised", "p", "last score"),
        [row(outcome.results[name]) for name in names(outcome)],
    )


def _reaches(outcome: Outcome) -> list[Table]:
    full = float(outcome.full.mean())
    columns = [f"{100 * share:.0f} % ({_points(share * full)})" for share in outcome.reach]
    note = (
        f"Cost until the mean curve (its running maximum) reaches a share of the score with all labels "
        f"({_points(full)}); saved: relative to uniform draws. Intervals: 95 %, bootstrap over the seeds."
    )

    def table(unit: str, word: str, text: Callable[[float], str]) -> Table:
        rows = [
            [
                Cell(name),
                *(cell for share in outcome.reach for cell in _cells(outcome.reach[share][unit][name], text)),
            ]
            for name in names(outcome)
        ]
        return Table(
            f"{word} to a score", note, ("strategy", *(c for one in columns for c in (one, "saved"))), rows
        )

    return [
        table("labels", "Labels", lambda value: f"{value:.0f}"),
        table("seconds", "Rater minutes", lambda value: f"{value / 60:.1f}"),
    ]


def _duels(outcome: Outcome) -> Table:
    order = names(outcome)
    duels = {(d["strategy"], d["against"]): d for d in outcome.duels}

    def cell(one: str, other: str) -> Cell:
        if one == other:
            return Cell("")
        d = duels[one, other]
        kind = "win" if int(d["win"]) > int(d["loss"]) else "loss" if int(d["win"]) < int(d["loss"]) else ""
        return Cell(f"{d['win']}/{d['tie']}/{d['loss']}", kind)

    return Table(
        "Pairwise comparison",
        "Number of seeds with which the strategy on the left has the larger, the same and the smaller area.",
        ("", *order),
        [[Cell(one), *(cell(one, other) for other in order)] for one in order],
    )


def _costs(outcome: Outcome) -> Table:
    rows = []
    for name in names(outcome):
        s = outcome.results[name]
        memory = "-" if s.select_bytes is None else f"{s.select_bytes / 1e6:.1f}"
        rows.append([Cell(name), Cell(f"{s.select_seconds:.3f}"), Cell(memory)])
    return Table(
        "Cost of choosing a batch",
        "Median processor seconds for one batch, and peak memory on top of the data, in MB.",
        ("strategy", "seconds", "MB"),
        rows,
    )


def _batches(outcome: Outcome) -> Table:
    keys = list(next(iter(outcome.batches.values())))
    return Table(
        "Composition of the batches",
        "classes: entropy of the labels relative to the pool. speakers: effective number, as a share of the "
        "possible number. duplicates: share of samples close to another sample. conflict: disagreement "
        "of T, A and V relative to the pool.",
        ("strategy", *keys),
        [
            [
                Cell(n),
                *(
                    Cell("-" if (value := outcome.batches[n][key]) is None else f"{value:.2f}")
                    for key in keys
                ),
            ]
            for n in names(outcome)
        ],
    )


def _points(value: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f}"


def _between(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None or low is None or high is None:
        return "-"
    return f"{_points(value, sign)} ({_points(low, sign)} to {_points(high, sign)})"


def _cells(reach: Reach, text: Callable[[float], str]) -> list[Cell]:
    """What is needed to reach a score, and what that saves."""
    needed = "not reached"
    if reach.needed is not None:
        low, high = ("not reached" if end is None else text(end) for end in (reach.low, reach.high))
        needed = f"{text(reach.needed)} ({low} to {high})"
    if reach.at_least is not None:
        saved = f"{100 * reach.at_least:.0f} % or more"
    elif reach.saved is None:
        saved = "-"
    else:
        saved = f"{100 * reach.saved:.0f} %"
        if reach.saved_low is not None and reach.saved_high is not None:
            saved += f" ({100 * reach.saved_low:.0f} to {100 * reach.saved_high:.0f})"
    return [Cell(needed), Cell(saved)]
