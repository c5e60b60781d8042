"""Whether a recording was too loud for its recorder."""

import numpy as np

from annotate.registry import check
from annotate.types import Observed

_NEAR = 0.9
"""Share of the rail from which a sample counts: a coded and resampled flat top is not quite flat any more."""
_RAILS = (99.99, 99.9, 99.5, 99.0)
"""Percentiles tried as the rail: the harder the clipping, the more samples does coding push beyond it."""


@check("clipping")
class Clipping:
    """Share of the audio that lies at its own highest level (after Aleinik and Matveev 2014)."""

    unit = "share"
    low = "no sample near the peak"
    high = "clipped sound"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; clean speech stays below 0.01, also coded; None when there is nothing to hear.

        The level itself does not matter: a recording that was clipped and made quieter later is clipped.
        """
        level = np.abs(observed.wave)
        if not len(level) or level.max() < 1e-4:
            return None
        rails = np.percentile(level, _RAILS)
        # Values above a percentile are not evidence of clipping.
        beyond = [1 - percent / 100 for percent in _RAILS]
        shares = [(level >= _NEAR * rail).mean() - usual for rail, usual in zip(rails, beyond, strict=True)]
        return float(max(0.0, *shares))
