"""Whether the words of a sample are known."""

from annotate.registry import check
from annotate.types import Observed


@check("transcript")
class TranscriptLength:
    """Characters of the transcript, without spaces."""

    unit = "characters"
    of_text = True
    low = "no transcript, or hardly any"
    high = "a transcript too long to be one utterance"

    def measure(self, observed: Observed) -> float:
        """0 when there is no transcript."""
        return float(len("".join(observed.segment.text.split())))
