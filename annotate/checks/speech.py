"""How much of a sample is speech."""

from annotate.registry import check
from annotate.types import Observed


@check("speech")
class SpeechShare:
    """Share of the sample in which a voice is heard."""

    unit = "share"
    low = "hardly any voice heard: the wrong sound track, too quiet, or no speech"
    high = "hardly a pause"

    def measure(self, observed: Observed) -> float:
        """0 to 1."""
        start, end = observed.segment.start_us, observed.segment.end_us
        common = sum(max(0, min(last, end) - max(first, start)) for first, last in observed.speech)
        return common / (end - start)
