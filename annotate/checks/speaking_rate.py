"""Whether the words of a sample fit into the time in which somebody speaks."""

import re
import unicodedata

from annotate.registry import check
from annotate.types import Observed

_VOWELS = frozenset("aeiouyæøœıаеёиоуыэюяіїєαεηιουω")
_SYLLABIC = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
"""Kana, Han and Hangul: one sign, one syllable (or mora)."""
_LEAST_VOICE = 1 / 3
"""Share of a sample; transcripts leave less than two thirds of their lines to pauses."""


@check("speaking-rate")
class SpeakingRate:
    """Syllables of the transcript per second of voice.

    People speak 4 to 8, so a transcript that belongs to another clip stands out. Unknown where a voice is
    heard in less than a third of the sample: then the audio is at fault, which `speech` shows.
    """

    unit = "syllables/s"
    of_text = True
    low = "fewer words than were spoken: does the transcript belong here?"
    high = "more words than can be spoken: does the transcript belong here?"

    def measure(self, observed: Observed) -> float | None:
        """People speak 4 to 8 (Pellegrino, Coupé and Marsico, 2011).

        None without transcript or a script whose syllables can be counted, and where a voice is heard in less
        than a third of the sample: then the sound is at fault (see the check `speech`), not the words.
        """
        start, end = observed.segment.start_us, observed.segment.end_us
        voiced_us = sum(max(0, min(last, end) - max(first, start)) for first, last in observed.speech)
        count = syllables(observed.segment.text)
        enough = voiced_us >= _LEAST_VOICE * (end - start)
        return count * 1e6 / voiced_us if count and voiced_us and enough else None


def syllables(text: str) -> int:
    """Number of vowel groups per word (at least one) and syllabic characters; 0 for other scripts."""
    count = len(_SYLLABIC.findall(text))
    plain = unicodedata.normalize("NFD", _SYLLABIC.sub(" ", text.lower()))
    for word in re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c))):
        known = [letter in _VOWELS for letter in word]
        groups = sum(now and not before for before, now in zip([False, *known], known, strict=False))
        if groups or word.isascii():
            count += max(1, groups)
    return count
