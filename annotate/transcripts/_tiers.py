"""What ELAN and Praat share: tiers of marks, some of utterances and some of words."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.transcripts._text import plain
from annotate.transcripts._words import by_pauses
from annotate.types import Cue, Transcript, Word

_END = r"s?\d*$"
_START = r"(?i)(?:^|[\s_.@:-])"
_WORDS = re.compile(_START + r"(?:words?|wd|tokens?|orts?-?words?|字|词|詞)" + _END)
_SMALLER = re.compile(
    _START
    + r"(?:phone|phoneme|phn|mau|ipa|syllable|syll|pinyin|tone|silence|gesture|gaze|comment|note)"
    + _END
)
_GENERIC = re.compile(
    _START
    + r"(?:utterance|utt|sentence|text|transcript|transcription|ort|speech|orthography|words?|default|turn)"
    + _END
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One stretch of a tier, and what is written there."""

    start_us: int
    end_us: int
    raw: str
    guessed: bool = False
    """Nobody gave both of its times."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A named row of marks in order of time."""

    name: str
    marks: tuple[Mark, ...]
    speaker: str = ""
    """When the file names somebody; else the tier's name tells."""
    of: str = ""
    """Name of the tier that this one divides."""


def transcript(tiers: Sequence[Tier]) -> Transcript:
    """One cue per mark of every tier of utterances; words come from the tiers of words.

    A tier is one of words when its name says so, or when it spells what another tier says. Words without a
    tier of utterances are grouped by their pauses. The notes name the tiers that were read as speakers.
    """
    told = [
        tier for tier in tiers if not _SMALLER.search(tier.name) and any(plain(m.raw) for m in tier.marks)
    ]
    words = [t for t in told if t.of or _WORDS.search(t.name) or any(_spells(t, other) for other in told)]
    whole = [tier for tier in told if tier not in words]
    cues = [c for tier in whole for c in _cues(tier, _partner(tier, words, whole))]
    for tier in words:
        if not any(_partner(t, words, whole) is tier for t in whole):
            cues += by_pauses(_words(tier.marks), _speaker(tier))
    used = [f"{tier.name!r}" for tier in whole or words]
    notes = (f"tiers read as speakers: {', '.join(used)}",) if len(used) > 1 else ()
    return Transcript(tuple(cues), "transcript", notes=notes)


def _cues(tier: Tier, words: Tier | None) -> list[Cue]:
    """A word belongs to the mark that holds its middle."""
    cues = []
    waiting = sorted(_words(words.marks) if words else (), key=_middle_us)
    for mark in tier.marks:
        if text := plain(mark.raw):
            first, last = (bisect_left(waiting, at, key=_middle_us) for at in (mark.start_us, mark.end_us))
            inside = tuple(waiting[first:last])
            cues.append(Cue(mark.start_us, mark.end_us, text, mark.raw, _speaker(tier), inside))
    return cues


def _middle_us(word: Word) -> int:
    return (word.start_us + word.end_us) // 2


def _words(marks: Sequence[Mark]) -> tuple[Word, ...]:
    said = ((plain(mark.raw), mark) for mark in marks)
    return tuple(
        Word(text, m.start_us, m.end_us, m.guessed) for text, m in said if text and m.end_us > m.start_us
    )


def _partner(tier: Tier, words: Sequence[Tier], whole: Sequence[Tier]) -> Tier | None:
    """The tier that holds the words of `tier`."""
    for other in words:
        if other.of == tier.name or _spells(other, tier) or _stem(other) == _stem(tier) != "":
            return other
    return words[0] if len(words) == len(whole) == 1 and not words[0].of else None


def _speaker(tier: Tier) -> str:
    return plain(tier.speaker) or _stem(tier)


def _stem(tier: Tier) -> str:
    """The part of a tier's name that is a person's: ``ann`` of ``ann - words``, nothing of ``words``."""
    return plain(_GENERIC.sub("", _WORDS.sub("", tier.name))).strip(" -_.:@")


def _spells(words: Tier, whole: Tier) -> bool:
    """Whether the marks of `words` are pieces of what `whole` says, in the same order."""
    if words is whole or len(words.marks) <= len(whole.marks):
        return False
    return _letters(words) == _letters(whole) != ""


def _letters(tier: Tier) -> str:
    return "".join(c for mark in tier.marks for c in plain(mark.raw).casefold() if c.isalnum())
