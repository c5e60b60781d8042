"""How loud a sample is."""

import numpy as np

from annotate.registry import check
from annotate.types import Observed


@check("loudness")
class Loudness:
    """Root mean square of the audio, in dB below full scale."""

    unit = "dB"
    low = "nothing to hear"
    high = "too loud"

    def measure(self, observed: Observed) -> float:
        """At least -120."""
        power = float(np.square(observed.wave, dtype=np.float64).mean()) if len(observed.wave) else 0.0
        return 10 * float(np.log10(max(power, 1e-12)))
