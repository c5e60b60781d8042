"""Knows where the words of a transcript lie, and which of them an utterance holds."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise

from annotate.segmenters._sentences import sentence_ends, wide
from annotate.types import Cue, Segment, Word

Span = tuple[int, int]
"""Start and end in microseconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is never divided: a word with the marks around it, or a cue whose words have no times."""

    start_us: int
    end_us: int
    text: str
    raw: str
    speaker: str
    cue: int
    """Position of its cue."""
    word: Word | None
    ends_sentence: bool

    @property
    def middle_us(self) -> int:
        """It belongs to the utterance that holds this moment."""
        return (self.start_us + self.end_us) // 2


def pieces(cues: Iterable[Cue]) -> list[Piece]:
    """All pieces of all cues, cue by cue."""
    return [piece for number, cue in enumerate(cues) for piece in _pieces(cue, number)]


def _pieces(cue: Cue, number: int) -> list[Piece]:
    if not cue.words:
        whole = len(cue.text.rstrip()) in sentence_ends(cue.text)
        return [Piece(cue.start_us, cue.end_us, cue.text, cue.raw, cue.speaker, number, None, whole)]
    texts, raws = _slices(cue.text, cue.words), _slices(cue.raw, cue.words)
    ends, found, at = sentence_ends("".join(texts)), [], 0
    for word, text, raw in zip(cue.words, texts, raws, strict=True):
        last = any(at < end <= at + len(text) for end in ends)
        found.append(Piece(word.start_us, word.end_us, text, raw, cue.speaker, number, word, last))
        at += len(text)
    return found


def _slices(text: str, words: Sequence[Word]) -> list[str]:
    """`text` divided before each word but the first; the bare words where it does not hold them in order."""
    starts, at = [], 0
    for word in words:
        found = text.find(word.text, at)
        if found < 0:
            bare = [w.text for w in words]
            return [a if _glued(a, b) else f"{a} " for a, b in pairwise([*bare, ""])]
        starts.append(found)
        at = found + len(word.text)
    return [text[a:b] for a, b in pairwise([0, *starts[1:], len(text)])]


def joined(texts: Iterable[str]) -> str:
    """One text: no space between scripts that have none, one between others."""
    whole = ""
    for text in (" ".join(t.split()) for t in texts):
        whole += text if _glued(whole, text) else f" {text}"
    return whole


def _glued(before: str, after: str) -> bool:
    return not before or not after or (wide(before[-1]) and wide(after[0]))


@dataclass(frozen=True)
class TimedWords:
    """Everything that is said in a video, by time."""

    pieces: tuple[Piece, ...]

    @cached_property
    def _by_middle(self) -> tuple[list[Piece], list[int]]:
        ordered = sorted(self.pieces, key=lambda p: (p.middle_us, p.cue))
        return ordered, [p.middle_us for p in ordered]

    @cached_property
    def spans(self) -> list[Span]:
        """Where words are spoken, ordered and disjoint; words that overlap are one span."""
        found: list[Span] = []
        for start, end in sorted((p.start_us, p.end_us) for p in self.pieces if p.word):
            if found and start < found[-1][1]:
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            elif start < end:
                found.append((start, end))
        return found

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _ in self.spans]

    @cached_property
    def sentence_ends_us(self) -> list[int]:
        """Ends of words that end a sentence while nobody else speaks, in order."""
        free = {end for _, end in self.spans}
        return sorted({p.end_us for p in self.pieces if p.word and p.ends_sentence and p.end_us in free})

    def among(self, span: Span) -> list[Piece]:
        """The pieces whose middle lies in `span`, in order."""
        ordered, middles = self._by_middle
        return ordered[bisect_left(middles, span[0]) : bisect_left(middles, span[1])]

    def touched(self, span: Span) -> list[Span]:
        """The spans of words that reach into the inside of `span`."""
        first = bisect_right(self._starts, span[0]) - 1
        first += first < 0 or self.spans[first][1] <= span[0]
        return self.spans[first : bisect_left(self._starts, span[1])]

    def covering(self, time_us: int) -> Span | None:
        """The words that are being spoken at a time, if it would cut them."""
        found = self.touched((time_us, time_us + 1))
        return found[0] if found and found[0][0] < time_us else None

    def gaps(self, span: Span) -> list[Span]:
        """Where in `span` no word is cut, both ends included: some gaps are a moment without length."""
        edges = [span[0], *(at for touched in self.touched(span) for at in touched), span[1]]
        found = list(zip(edges[::2], edges[1::2], strict=True))
        return [(start, end) for start, end in found if start <= end]


def with_words(segment: Segment, held: Sequence[Piece]) -> Segment:
    """The segment with what is said in it; who says most of it is its speaker."""
    if not held:
        return segment
    lines = [list(of_cue) for _, of_cue in groupby(held, key=lambda p: p.cue)]
    seconds: Counter[str] = Counter()
    for piece in held:
        seconds[piece.speaker] += piece.end_us - piece.start_us
    return replace(
        segment,
        text=joined("".join(p.text for p in line) for line in lines),
        raw=joined("".join(p.raw for p in line) for line in lines),
        speaker=segment.speaker or seconds.most_common(1)[0][0],
        words=tuple(p.word for p in held if p.word),
    )
