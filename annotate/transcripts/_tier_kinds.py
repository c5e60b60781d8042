"""Tells from the name and the content of a tier what it holds: utterances, words, sounds or labels."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from statistics import mean, median

from annotate.transcripts import _tier_names as vocabulary
from annotate.transcripts._text import plain
from annotate.transcripts._words import is_cjk


class Kind(StrEnum):
    """What a tier holds."""

    SPEECH = "speech"
    """Utterances, as far as can be told."""
    WORDS = "words"
    SOUNDS = "sounds"
    """Phones, syllables, tones: smaller than words."""
    LABELS = "labels"
    """What somebody wrote about the speech: emotions, gestures, ids, glosses, translations, comments."""
    MAYBE_LABELS = "maybe labels"
    """Numbers, or few values that come again and again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One stretch of a tier, and what is written there."""

    start_us: int
    end_us: int
    raw: str
    guessed: bool = False
    """Nobody gave both of its times."""
    where: str = ""
    """As in `Cue`."""
    said: str = field(init=False)
    """The text; empty for silence, whatever program marked it."""

    def __post_init__(self) -> None:
        text = plain(self.raw)
        silent = text.casefold() in vocabulary.SILENCE or not any(map(str.isalnum, text))
        object.__setattr__(self, "said", "" if silent else text)

    @property
    def middle_us(self) -> int:
        """A word belongs to the utterance that holds its middle."""
        return (self.start_us + self.end_us) // 2


@dataclass(frozen=True, slots=True)
class Tier:
    """A named row of marks in order of time."""

    name: str
    marks: tuple[Mark, ...]
    speaker: str = ""
    """When the file names somebody; else the tier's name tells."""
    of: str = ""
    """Name of the tier that this one is subordinate to."""
    timed: bool = True
    """Whether its marks have times of their own."""
    controlled: bool = False
    """Whether its values come from a controlled vocabulary."""
    untimed: tuple[str, ...] = ()
    """Where its further texts stand, those whose times cannot be known; as in `Cue`."""

    @property
    def spoken(self) -> list[Mark]:
        """The marks at which something is said."""
        return [mark for mark in self.marks if mark.said]

    @property
    def names(self) -> frozenset[str]:
        """The words of its name, in small letters and without numbers."""
        split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name)
        return frozenset(re.sub(r"\d+$", "", part) for part in _PARTS.split(split.casefold()) if part)

    @property
    def utterance_named(self) -> bool:
        """Whether its name says that it holds utterances."""
        return bool(self.names & vocabulary.UTTERANCES)

    @property
    def stem(self) -> str:
        """The part of its name that is a person's: ``ann`` of ``ann - words`` and ``tx@ann``; or empty."""
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

_CODE = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z_.:-])[A-Za-z]{0,12}(?:[_.:-]?[A-Za-z0-9]+)*")
_LOOK_AHEAD = 40
"""Tokens of an utterance that may have no word of their own before the next one that has."""
_NUMBER = re.compile(r"[-+\u2212]?\d+(?:[.,]\d+)?%?")


def kind(tier: Tier) -> Kind:
    """What the tier holds, told by its name first and then by what stands in it."""
    texts = [mark.said.casefold() for mark in tier.spoken]
    if named := _kind_by_name(tier):
        return named
    if _share(texts, vocabulary.LABEL_VALUES.__contains__) > 0.6 or _share(texts, _is_code) > 0.8:
        return Kind.LABELS
    if tier.names & vocabulary.WORDS:
        return Kind.WORDS
    if _share(texts, lambda text: bool(_NUMBER.fullmatch(text))) > 0.8 or _repeats(tier, texts):
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


def _is_code(text: str) -> bool:
    """``NARR_05_001``, ``s12``: an id. No number, and no time of day."""
    return " " not in text and _CODE.fullmatch(text) is not None and ":" not in text


def _repeats(tier: Tier, texts: Sequence[str]) -> bool:
    """Whether the marks are single values of a few that come again and again, and no listener's remarks."""
    counts = Counter(texts)
    rare = len(texts) >= 8 and len(counts) <= len(texts) / 4 and words_per_mark(tier) <= 1.2
    return rare and _share(texts, lambda text: text.strip(".,!?") in vocabulary.BACKCHANNELS) < 0.5


def words_per_mark(tier: Tier) -> float:
    """Mean number of words in a mark; two characters count as a word where no spaces are written."""
    counts = [_words(mark.said) for mark in tier.spoken]
    return mean(counts) if counts else 0.0


def _words(text: str) -> float:
    wide = sum(map(is_cjk, text))
    return max(len(text.split()), wide / 2)


def _follow_closely(tier: Tier) -> bool:
    """Whether the marks are single short words, each right after the other."""
    marks = tier.spoken
    if len(marks) < 6 or words_per_mark(tier) > 1.2 or median(m.end_us - m.start_us for m in marks) > 800_000:
        return False
    gaps = [after.start_us - before.end_us for before, after in pairwise(marks)]
    return median(gaps) < 250_000


def spells(words: Tier, whole: Tier) -> bool:
    """Whether the marks of `words` are the words, or pieces of words, of what `whole` says, in its order."""
    if words is whole or len(words.spoken) < len(whole.spoken):
        return False
    if _letters(words.spoken) == _letters(whole.spoken) != "":
        return True
    matched = total = 0
    for mark, inside in within(words, whole):
        total += len(inside)
        matched += _in_order([_tokens(word.said) for word in inside], _tokens(mark.said))
    # Words outside of every utterance are not its words either.
    return total > 0 and matched > 0.75 * max(total, len(words.spoken) / 2)


def within(words: Tier, whole: Tier) -> Iterator[tuple[Mark, list[Mark]]]:
    """Every spoken mark of `whole` with the marks of `words` whose middle it holds."""
    ordered = sorted(words.spoken, key=lambda mark: mark.middle_us)
    middles = [mark.middle_us for mark in ordered]
    for mark in whole.spoken:
        first, last = bisect_left(middles, mark.start_us), bisect_left(middles, mark.end_us)
        yield mark, ordered[first:last]


def _letters(marks: Sequence[Mark]) -> str:
    return "".join("".join(_tokens(mark.said)) for mark in marks)


def _tokens(text: str) -> list[str]:
    """Words in small letters without punctuation; single characters of scripts without spaces."""
    spaced = "".join(f" {c} " if is_cjk(c) else c for c in text.casefold())
    return [token for part in spaced.split() if (token := "".join(filter(str.isalnum, part)))]


def _in_order(pieces: Sequence[list[str]], tokens: Sequence[str]) -> int:
    """How many of the pieces stand in `tokens` one after the other."""
    at = matched = 0
    for piece in pieces:
        near = range(at, min(len(tokens) - len(piece), at + _LOOK_AHEAD) + 1)
        where = next((n for n in near if list(tokens[n : n + len(piece)]) == piece), None)
        if piece and where is not None:
            matched += 1
            at = where + len(piece)
    return matched
