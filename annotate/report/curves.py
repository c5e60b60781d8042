"""Pictures of learning curves."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np

from annotate.simulation.curves import draws, interval
from annotate.simulation.outcome import Outcome
from annotate.simulation.runner import BASE

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a5a00", "#7f3fbf")
"""Colours that most colour-blind people can distinguish (Okabe and Ito 2008), and two more."""
MARKERS = "osD^vP*X"
DPI = 130


def picture(outcome: Outcome) -> bytes:
    """A PNG: scores against labels and against rater minutes, with 95 % intervals over the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    labels, minutes = figure.subplots(1, 2, sharey=True)
    for axes, unit, share, title in (
        (labels, "labels", 1, "labels"),
        (minutes, "seconds", 60, "rater minutes"),
    ):
        for k, (name, curves) in enumerate(outcome.curves.items()):
            x, y = (getattr(curves, unit) / share).mean(axis=0), 100 * curves.score
            style = {
                "color": COLOURS[(k - 1) % len(COLOURS)],
                "marker": MARKERS[(k - 1) // len(COLOURS) % len(MARKERS)],
            }
            if name == BASE:
                style = {"color": "#000000", "linestyle": "--", "marker": ""}
            axes.plot(x, y.mean(axis=0), label=name, markersize=4, linewidth=1.6, **style)
            if len(y) > 1:
                seeds = draws(len(y))
                low, high = np.array([interval(y[seeds, i].mean(axis=1)) for i in range(y.shape[1])]).T
                axes.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)
        axes.axhline(100 * float(outcome.full.mean()), color="#888888", linestyle=":", label="all labels")
        axes.set_xlabel(title)
        axes.grid(alpha=0.25)
    labels.set_ylabel("score on test, points")
    minutes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    file = BytesIO()
    # Without a date the same figures make the same file.
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def names(outcome: Outcome) -> Sequence[str]:
    """Names of the strategies, in descending order of area."""
    return sorted(outcome.results, key=lambda name: -outcome.results[name].area)
