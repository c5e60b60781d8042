"""Locates the words of a transcript in time, and assigns them to utterances."""

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
    """A unit that is never divided: a word with its punctuation, or a cue whose words have no times."""

    start_us: int
    end_us: int
    text: str
    raw: str
    speaker: str
    cue: int
    """Index of its cue."""
    word: Word | None
    ends_sentence: bool

    @property
    def middle_us(self) -> int:
        """The midpoint; the piece belongs to the utterance that contains it."""
        return (self.start_us + self.end_us) // 2


def pieces(cues: Iterable[Cue]) -> list[Piece]:
    """The pieces of all cues, in order of the cues."""
    parts = []
    for number, cue in enumerate(cues):
        if not cue.words:
            whole = len(cue.text.rstrip()) in sentence_ends(cue.text)
            parts.append(Piece(cue.start_us, cue.end_us, cue.text, cue.raw, cue.speaker, number, None, whole))
            continue
        texts, raws = _slices(cue.text, cue.words), _slices(cue.raw, cue.words)
        ends, at = sentence_ends("".join(texts)), 0
        for word, text, raw in zip(cue.words, texts, raws, strict=True):
            last = any(at < end <= at + len(text) for end in ends)
            parts.append(Piece(word.start_us, word.end_us, text, raw, cue.speaker, number, word, last))
            at += len(text)
    return parts


def _slices(text: str, words: Sequence[Word]) -> list[str]:
    """`text` divided before each word but the first; the bare words if `text` lacks them in this order."""
    starts, at = [], 0
    for word in words:
        start = text.find(word.text, at)
        if start < 0:
            bare = [w.text for w in words]
            return [a if _glued(a, b) else f"{a} " for a, b in pairwise([*bare, ""])]
        starts.append(start)
        at = start + len(word.text)
    return [text[a:b] for a, b in pairwise([0, *starts[1:], len(text)])]


def joined(texts: Iterable[str]) -> str:
    """The texts joined by spaces, except between characters of scripts without spaces."""
    whole = ""
    for text in (" ".join(t.split()) for t in texts):
        whole += text if _glued(whole, text) else f" {text}"
    return whole


def _glued(before: str, after: str) -> bool:
    return not before or not after or (wide(before[-1]) and wide(after[0]))


@dataclass(frozen=True)
class TimedWords:
    """All words of a video in order of time."""

    pieces: tuple[Piece, ...]

    @cached_property
    def _by_middle(self) -> tuple[list[Piece], list[int]]:
        ordered = sorted(self.pieces, key=lambda p: (p.middle_us, p.cue))
        return ordered, [p.middle_us for p in ordered]

    @cached_property
    def spans(self) -> list[Span]:
        """The time spans of words, ordered and disjoint; overlapping words form one span."""
        merged: list[Span] = []
        for start, end in sorted((p.start_us, p.end_us) for p in self.pieces if p.word):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            elif start < end:
                merged.append((start, end))
        return merged

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _ in self.spans]

    @cached_property
    def sentence_ends_us(self) -> list[int]:
        """Ends of words at which a sentence ends and nobody else speaks, in order."""
        free = {end for _, end in self.spans}
        return sorted({p.end_us for p in self.pieces if p.word and p.ends_sentence and p.end_us in free})

    def among(self, span: Span) -> list[Piece]:
        """The pieces whose midpoint is in `span`, in order."""
        ordered, middles = self._by_middle
        return ordered[bisect_left(middles, span[0]) : bisect_left(middles, span[1])]

    def touched(self, span: Span) -> list[Span]:
        """The spans of words that overlap `span`."""
        first = bisect_right(self._starts, span[0]) - 1
        first += first < 0 or self.spans[first][1] <= span[0]
        return self.spans[first : bisect_left(self._starts, span[1])]

    def covering(self, time_us: int) -> Span | None:
        """The span of words that a cut at this time would divide, or None."""
        touched = self.touched((time_us, time_us + 1))
        return touched[0] if touched and touched[0][0] < time_us else None

    def gaps(self, span: Span) -> list[Span]:
        """Where in `span` a cut divides no word, both ends included; a gap may have length 0."""
        edges = [span[0], *(at for touched in self.touched(span) for at in touched), span[1]]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start, end) for start, end in pairs if start <= end]


def with_words(segment: Segment, spoken: Sequence[Piece]) -> Segment:
    """The segment with the text and words of `spoken`; its speaker is the one who speaks the longest."""
    if not spoken:
        return segment
    lines = [list(of_cue) for _, of_cue in groupby(spoken, key=lambda p: p.cue)]
    seconds: Counter[str] = Counter()
    for piece in spoken:
        seconds[piece.speaker] += piece.end_us - piece.start_us
    return replace(
        segment,
        text=joined("".join(p.text for p in line) for line in lines),
        raw=joined("".join(p.raw for p in line) for line in lines),
        speaker=segment.speaker or seconds.most_common(1)[0][0],
        words=tuple(p.word for p in spoken if p.word),
    )
