"""Which language the words of a sample are in.

Other scripts than the Latin name the language by themselves or nearly so. For the rest a language is known by
its commonest little words (Ingle 1976; Grefenstette 1995), which even a short utterance is full of; letters
that only one language has count as well. Nothing is guessed: without enough of both the answer is ``und``.
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
"""Weight that a language must have: two little words, one of them its own."""
_AHEAD = 1.5
"""How much more than the next one."""


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
        """``en``, ``zh``, ...; ``und`` when too short to tell; None without a transcript."""
        if not observed.segment.text.strip():
            return None
        said = re.split(r"[-_]", observed.language.strip().lower())[0]
        return said or language(observed.segment.text)


def language(text: str) -> str:
    """Two-letter code (ISO 639-1) of a text's language, or ``und``."""
    letters = Counter(_script(c) for c in text if c.isalpha())
    if not letters:
        return UNKNOWN
    # One syllabic sign says as much as a few letters, so foreign names do not outvote a sentence.
    main = max(letters, key=lambda script: letters[script] * (3 if script == "CJK" else 1))
    if main == "CJK" or main in ("HIRAGANA", "KATAKANA"):
        kana = letters["HIRAGANA"] + letters["KATAKANA"]
        return "ja" if kana * 8 >= letters["CJK"] else "zh"
    return (
        _by_words(text.lower()) if main in ("LATIN", "CYRILLIC") else _by_letters(text, SCRIPTS.get(main, ""))
    )


def _by_letters(text: str, usual: str) -> str:
    """Of a script with one usual language, unless letters tell of another."""
    if usual == "ar":
        return next((code for code in ("ur", "fa") if set(LETTERS[code]) & set(text)), usual)
    return usual or UNKNOWN


def _by_words(text: str) -> str:
    votes: Counter[str] = Counter()
    for word in set(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?'?", text.replace("’", "'"))):
        for code, weight in _votes().get(word, {}).items():
            votes[code] += weight  # type: ignore[assignment]
    for code, letters in LETTERS.items():
        votes[code] += sum(letter in text for letter in letters)
    (best, most), (_, second) = [*votes.most_common(2), ("", 0), ("", 0)][:2]
    return best if most >= _NEEDED and most >= _AHEAD * second else UNKNOWN


@cache
def _votes() -> dict[str, dict[str, float]]:
    """By word: what it says for each language that has it, one in all."""
    found: dict[str, list[str]] = {}
    for code, words in WORDS.items():
        for word in set(words.split()):
            found.setdefault(word, []).append(code)
    return {word: {code: 1.0 / len(codes) for code in codes} for word, codes in found.items()}


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0].split("-")[0]
