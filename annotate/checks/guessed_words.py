"""How well the times of the words are known."""

from annotate.registry import check
from annotate.types import Observed


@check("guessed-words")
class GuessedWords:
    """Share of the words whose times were interpolated between their neighbours.

    Unknown if no word has a time.
    """

    unit = "share"
    of_text = True
    low = "too many words with times of their own"
    high = "too many words without times of their own"

    def measure(self, observed: Observed) -> float | None:
        """0 to 1; None when the transcript knows no times of words."""
        words = observed.segment.words
        return sum(word.guessed for word in words) / len(words) if words else None
