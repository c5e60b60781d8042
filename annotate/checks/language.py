"""The language of a transcript.

Most scripts other than Latin identify the language on their own. Otherwise the language is identified by its
most common function words (Ingle 1976; Grefenstette 1995), which occur even in short utterances, and by
letters that only one language has. Without enough of both, the answer is ``und``.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

from annotate.checks._little_words import LETTERS, SCRIPTS, WORDS
from annotate.registry import check
from annotate.types import Observed

UNKNOWN = "und"
"""Undetermined (ISO 639-2)."""

_NEEDED = 1.5
"""Least weight of a language: two function words, one of them in no other language."""
_AHEAD = 1.5
"""Least ratio to the weight of the second language."""


@check("language")
class Language:
    """Language of the transcript, as two letters.

    The language that the source of the transcript states, else a guess from its script and most frequent
    function words; `und` when the text is too short to tell.
    """

    unit = ""
    of_text = True
    low = ""
    high = "another language"

    def measure(self, observed: Observed) -> str | None:
        """``en``, ``zh``, ...; ``und`` when the text is too short; None without a transcript."""
        if not observed.segment.text.strip():
            return None
        declared = re.split(r"[-_]", observed.language.strip().lower())[0]
        return declared or language(observed.segment.text)


def language(text: str) -> str:
    """Two-letter code (ISO 639-1) of a text's language, or ``und``."""
    letters = Counter(_script(c) for c in text if c.isalpha())
    if not letters:
        return UNKNOWN
    # A syllabic character counts as several letters, so that foreign names do not outweigh a sentence.
    main = max(letters, key=lambda script: letters[script] * (3 if script == "CJK" else 1))
    if main == "CJK" or main in ("HIRAGANA", "KATAKANA"):
        kana = letters["HIRAGANA"] + letters["KATAKANA"]
        return "ja" if kana * 8 >= letters["CJK"] else "zh"
    if main not in ("LATIN", "CYRILLIC"):
        usual = SCRIPTS.get(main, "")
        if usual == "ar":
            return next((code for code in ("ur", "fa") if set(LETTERS[code]) & set(text)), usual)
        return usual or UNKNOWN
    lower = text.lower()
    votes: Counter[str] = Counter()
    for word in set(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?'?", lower.replace("’", "'"))):
        for code, weight in _word_weights().get(word, {}).items():
            votes[code] += weight  # type: ignore[assignment]
    for code, own_letters in LETTERS.items():
        votes[code] += sum(letter in lower for letter in own_letters)
    (best, most), (_, second) = [*votes.most_common(2), ("", 0), ("", 0)][:2]
    return best if most >= _NEEDED and most >= _AHEAD * second else UNKNOWN


@cache
def _word_weights() -> dict[str, dict[str, float]]:
    """By word: the weight for each language that has it; the weights of a word sum to 1."""
    languages: dict[str, list[str]] = {}
    for code, words in WORDS.items():
        for word in set(words.split()):
            languages.setdefault(word, []).append(code)
    return {word: {code: 1.0 / len(codes) for code in codes} for word, codes in languages.items()}


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0]
