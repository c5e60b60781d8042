"""Pictures of learning curves."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from annotate.simulation.curves import Curves, draws, interval
from annotate.simulation.outcome import Outcome
from annotate.simulation.schedule import BASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a5a00", "#7f3fbf")
"""Told apart by most colour-blind people (Okabe and Ito 2008), and two more."""
MARKERS = "osD^vP*X"
DPI = 130


def picture(found: Outcome) -> bytes:
    """A PNG: scores against labels and against rater minutes, with 95 % intervals over the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    labels, minutes = figure.subplots(1, 2, sharey=True)
    for axes, unit, share, title in (
        (labels, "labels", 1, "labels"),
        (minutes, "seconds", 60, "rater minutes"),
    ):
        for k, (name, curves) in enumerate(found.curves.items()):
            _draw(axes, name, curves, getattr(curves, unit) / share, _style(k, name))
        axes.axhline(100 * float(found.full.mean()), color="#888888", linestyle=":", label="all labels")
        axes.set_xlabel(title)
        axes.grid(alpha=0.25)
    labels.set_ylabel("score on test, points")
    minutes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    file = BytesIO()
    # Without a date the same figures make the same file.
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def _style(k: int, name: str) -> dict[str, Any]:
    if name == BASE:
        return {"color": "#000000", "linestyle": "--", "marker": ""}
    return {
        "color": COLOURS[(k - 1) % len(COLOURS)],
        "marker": MARKERS[(k - 1) // len(COLOURS) % len(MARKERS)],
    }


def _draw(axes: "Axes", name: str, curves: Curves, costs: Any, style: dict[str, Any]) -> None:
    x, y = costs.mean(axis=0), 100 * curves.score
    axes.plot(x, y.mean(axis=0), label=name, markersize=4, linewidth=1.6, **style)
    if len(y) > 1:
        low, high = np.array([interval(y[draws(len(y)), k].mean(axis=1)) for k in range(y.shape[1])]).T
        axes.fill_between(x, low, high, color=style["color"], alpha=0.12, linewidth=0)


def names(found: Outcome) -> Sequence[str]:
    """Strategies, that with the largest area first."""
    return sorted(found.standings, key=lambda name: -found.standings[name].area)
