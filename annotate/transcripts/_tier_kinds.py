"""Classifies tiers by name and content: utterances, words, sounds or labels."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import mean, median

from annotate.transcripts import _tier_names as vocabulary
from annotate.transcripts._text import plain
from annotate.transcripts._words import is_cjk


class Kind(StrEnum):
    """The content of a tier."""

    SPEECH = "speech"
    """Probably utterances."""
    WORDS = "words"
    SOUNDS = "sounds"
    """Units smaller than words: phones, syllables, tones."""
    LABELS = "labels"
    """Annotations of the speech: emotions, gestures, ids, glosses, translations, comments."""
    MAYBE_LABELS = "maybe labels"
    """Numbers, or a few values that recur."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One annotated interval of a tier."""

    start_us: int
    end_us: int
    raw: str
    guessed: bool = False
    """Whether one of its times is interpolated."""
    where: str = ""
    """As in `Cue`."""
    text: str = field(init=False)
    """The spoken text; empty for any program's mark of silence."""

    def __post_init__(self) -> None:
        text = plain(self.raw)
        silent = text.casefold() in vocabulary.SILENCE or not any(map(str.isalnum, text))
        object.__setattr__(self, "text", "" if silent else text)

    @property
    def middle_us(self) -> int:
        """The middle of the interval; a word belongs to the utterance that contains its middle."""
        return (self.start_us + self.end_us) // 2


@dataclass(frozen=True, slots=True)
class Tier:
    """A named sequence of marks in order of time."""

    name: str
    marks: tuple[Mark, ...]
    speaker: str = ""
    """The participant that the file names; if empty, the tier's name is used."""
    of: str = ""
    """Name of the parent tier."""
    timed: bool = True
    """Whether its marks have their own times."""
    controlled: bool = False
    """Whether its values come from a controlled vocabulary."""
    untimed: tuple[str, ...] = ()
    """Positions of its texts without times, as in `Cue`."""

    @property
    def spoken(self) -> list[Mark]:
        """The marks with spoken text."""
        return [mark for mark in self.marks if mark.text]

    @property
    def names(self) -> frozenset[str]:
        """The words of its name in lower case, without numbers."""
        split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name)
        return frozenset(re.sub(r"\d+$", "", part) for part in _PARTS.split(split.casefold()) if part)

    @property
    def utterance_named(self) -> bool:
        """Whether its name contains a term for utterances."""
        return bool(self.names & vocabulary.UTTERANCES)

    @property
    def stem(self) -> str:
        """The part of its name that may name a person, such as ``ann`` in ``ann - words``; may be empty."""
        if "@" in self.name:
            return plain(self.name.rpartition("@")[2])
        name, before = self.name, ""
        while name != before:
            before, name = name, _AFFIX.sub("", name).strip(" -_.:/")
        return plain(name)


_PARTS = re.compile(r"[\s_.@:/()\[\]-]+")
_AFFIX = re.compile(
    "(?i)^(?:{0})s?\\d*(?=$|[\\s_.:/-])|(?:^|(?<=[\\s_.:/-]))(?:{0})s?\\d*$".format(
        "|".join(sorted(vocabulary.WORDS | vocabulary.UTTERANCES | vocabulary.SOUNDS, key=len, reverse=True))
    )
)

_CODE = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z_.:-])[A-Za-z0-9]*(?:[_.:-][A-Za-z0-9]+)*")
_LOOK_AHEAD = 40
"""How many tokens of an utterance may be missing in the tier of words before the next match."""
_NUMBER = re.compile(r"[-+\u2212]?\d+(?:[.,]\d+)?%?")


def kind(tier: Tier) -> Kind:
    """The kind of the tier, by its name first and then by its content."""
    texts = [mark.text.casefold() for mark in tier.spoken]
    if named := _kind_by_name(tier):
        return named
    # Ids such as ``NARR_05_001`` or ``s12``; a time of day, which has a colon, does not count.
    ids = _share(texts, lambda text: ":" not in text and bool(_CODE.fullmatch(text)))
    if _share(texts, vocabulary.LABEL_VALUES.__contains__) > 0.6 or ids > 0.8:
        return Kind.LABELS
    if tier.names & vocabulary.WORDS:
        return Kind.WORDS
    # Single words of a small set, unless they are the backchannels of a listener.
    few_values = len(texts) >= 8 and len(set(texts)) <= len(texts) / 4 and words_per_mark(tier) <= 1.2
    backchannels = _share(texts, lambda text: text.strip(".,!?") in vocabulary.BACKCHANNELS)
    numbers = _share(texts, lambda text: bool(_NUMBER.fullmatch(text)))
    if numbers > 0.8 or (few_values and backchannels < 0.5):
        return Kind.MAYBE_LABELS
    return Kind.WORDS if _follow_closely(tier) else Kind.SPEECH


def _kind_by_name(tier: Tier) -> Kind | None:
    names = tier.names
    if "ort" in names and "mau" in names:
        return Kind.WORDS
    if names & vocabulary.SOUNDS:
        return Kind.SOUNDS
    labels = vocabulary.LABELS | (vocabulary.CODES if tier.of or "@" in tier.name else frozenset())
    if tier.controlled or names & labels - ({"id"} if names & vocabulary.UTTERANCES else set()):
        return Kind.LABELS
    return None


def _share(texts: Sequence[str], holds: Callable[[str], bool]) -> float:
    return mean(holds(text) for text in texts) if texts else 0.0


def words_per_mark(tier: Tier) -> float:
    """Mean number of words in a mark; in scripts without spaces, two characters count as a word."""
    texts = [mark.text for mark in tier.spoken]
    return mean(max(len(text.split()), sum(map(is_cjk, text)) / 2) for text in texts) if texts else 0.0


def _follow_closely(tier: Tier) -> bool:
    """Whether the marks are single short words in close succession."""
    marks = tier.spoken
    if len(marks) < 6 or words_per_mark(tier) > 1.2 or median(m.end_us - m.start_us for m in marks) > 800_000:
        return False
    gaps = [after.start_us - before.end_us for before, after in pairwise(marks)]
    return median(gaps) < 250_000


def spells(words: Tier, whole: Tier) -> bool:
    """Whether the marks of `words` are the words, or parts of words, of the texts of `whole`, in order."""
    if words is whole or len(words.spoken) < len(whole.spoken):
        return False
    if _letters(words.spoken) == _letters(whole.spoken) != "":
        return True
    matched = total = 0
    for mark, inside in within(words, whole):
        total += len(inside)
        matched += _in_order([_tokens(word.text) for word in inside], _tokens(mark.text))
    # Words outside of every utterance count as unmatched.
    return total > 0 and matched > 0.75 * max(total, len(words.spoken) / 2)


def within(words: Tier, whole: Tier) -> Iterator[tuple[Mark, list[Mark]]]:
    """Every spoken mark of `whole` with the marks of `words` whose middle it contains."""
    ordered = sorted(words.spoken, key=lambda mark: mark.middle_us)
    middles = [mark.middle_us for mark in ordered]
    for mark in whole.spoken:
        first, last = bisect_left(middles, mark.start_us), bisect_left(middles, mark.end_us)
        yield mark, ordered[first:last]


def _letters(marks: Sequence[Mark]) -> str:
    return "".join("".join(_tokens(mark.text)) for mark in marks)


def _tokens(text: str) -> list[str]:
    """Words in lower case without punctuation; single characters in scripts without spaces."""
    spaced = "".join(f" {c} " if is_cjk(c) else c for c in text.casefold())
    return [token for part in spaced.split() if (token := "".join(filter(str.isalnum, part)))]


def _in_order(pieces: Sequence[list[str]], tokens: Sequence[str]) -> int:
    """How many of the pieces occur in `tokens` in this order."""
    at = matched = 0
    for piece in pieces:
        near = range(at, min(len(tokens) - len(piece), at + _LOOK_AHEAD) + 1)
        where = next((n for n in near if list(tokens[n : n + len(piece)]) == piece), None)
        if piece and where is not None:
            matched += 1
            at = where + len(piece)
    return matched
