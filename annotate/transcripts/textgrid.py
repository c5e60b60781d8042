"""Reads Praat TextGrids in each text format (long, short, chronological): tiers of utterances and of words.

Like Praat, it reads free-standing numbers, texts in double quotes and flags, and ignores everything else.
Format: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

import re
from collections.abc import Iterator, Sequence

from annotate.transcripts._text import Malformed
from annotate.transcripts._tier_kinds import Mark, Tier
from annotate.transcripts._tiers import transcript
from annotate.transcripts._times import microseconds
from annotate.types import Transcript

_CHRONOLOGICAL = "Praat chronological TextGrid text file"
_TOKEN = re.compile(
    r'"[^"]*(?:""[^"]*)*"|<[^<>\s]*>|(?<!\S)[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\S)|(?<!\S)![^\n]*'
)


def read(text: str, tiers: Sequence[str] = ()) -> Transcript:
    """Every interval with a text, times as written, of the tiers with speech or of those named by `tiers`.

    Point tiers are not read. Raises `Malformed` when this is not a TextGrid, is incomplete, or has none of
    `tiers`.
    """
    values = _Values(text)
    kind = values.text()
    if kind == _CHRONOLOGICAL:
        return transcript(_chronological(values), tiers)
    # Older versions of Praat call the short format "ooTextFile short".
    if not kind.startswith("ooTextFile") or values.text() != "TextGrid":
        raise Malformed("this is not a TextGrid in a text format", 1)
    values.number(), values.number()
    every = []
    if values.flag() == "<exists>":
        for _ in range(values.count()):
            intervals, name = values.text() == "IntervalTier", values.text()
            values.number(), values.number()
            marks = [_mark(values, n, intervals=intervals) for n in range(1, values.count() + 1)]
            every.append(Tier(name, tuple(marks) if intervals else ()))
    return transcript(every, tiers)


def _chronological(values: "_Values") -> list[Tier]:
    """The tiers of a file that lists the marks of all tiers by time."""
    values.number(), values.number()
    heads = []
    for _ in range(values.count()):
        heads.append((values.text() == "IntervalTier", values.text()))
        values.number(), values.number()
    marks: list[list[Mark]] = [[] for _ in heads]
    while not values.ended:
        tier = values.count()
        if not 1 <= tier <= len(heads):
            raise Malformed(f"there is no tier {tier}: the file has {len(heads)}")
        intervals = heads[tier - 1][0]
        marks[tier - 1].append(_mark(values, len(marks[tier - 1]) + 1, intervals=intervals))
    return [
        Tier(name, tuple(of_tier) if intervals else ())
        for (intervals, name), of_tier in zip(heads, marks, strict=True)
    ]


def _mark(values: "_Values", number: int, *, intervals: bool) -> Mark:
    start = values.number()
    end = values.number() if intervals else start
    where = f"interval {number}"
    return Mark(microseconds(start) or 0, microseconds(end) or 0, values.text(), where=where)


class _Values:
    """The sequence of values in a file."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._tokens: Iterator[re.Match[str]] = (m for m in _TOKEN.finditer(text) if m[0][0] != "!")
        self._ahead: re.Match[str] | None = next(self._tokens, None)

    @property
    def ended(self) -> bool:
        """Whether no value is left."""
        return self._ahead is None

    def text(self) -> str:
        value = self._next("a text in quotes", '"')
        return value[1:-1].replace('""', '"')

    def number(self) -> float:
        return float(self._next("a number", "+-0123456789"))

    def count(self) -> int:
        """The number of the items that follow, limited by the length of the file."""
        return int(min(self.number(), len(self._source)))

    def flag(self) -> str:
        return self._next("<exists> or <absent>", "<")

    def _next(self, what: str, first: str) -> str:
        match, self._ahead = self._ahead, next(self._tokens, None)
        if match is None:
            raise Malformed(f"the file ends where {what} is missing", self._source.count("\n") + 1)
        if match[0][0] not in first:
            line = self._source.count("\n", 0, match.start()) + 1
            raise Malformed(f"{match[0][:40]} is where {what} is missing", line)
        return match[0]
