"""Reads Praat TextGrids, the long and the short text format: interval tiers of utterances, words, or both.

Praat takes free-standing numbers, texts in double quotes and flags, and passes over the rest; so does this.
Format: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

import re
from collections.abc import Iterator

from annotate.transcripts._text import Malformed
from annotate.transcripts._tiers import Mark, Tier, transcript
from annotate.transcripts._times import microseconds
from annotate.types import Transcript

_TOKEN = re.compile(
    r'"[^"]*(?:""[^"]*)*"|<[^<>\s]*>|(?<!\S)[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\S)|(?<!\S)![^\n]*'
)


def read(text: str) -> Transcript:
    """Every interval with a text, times as written; tiers of points are not read.

    Raises `Malformed` when this is no such file, or it ends too early.
    """
    values = _Values(text)
    if values.text() != "ooTextFile" or values.text() != "TextGrid":
        raise Malformed("this is no TextGrid in a text format", 1)
    values.number(), values.number()
    tiers = []
    if values.flag() == "<exists>":
        for _ in range(values.count()):
            tier = _tier(values)
            if tier.marks:
                tiers.append(tier)
    return transcript(tiers)


def _tier(values: "_Values") -> Tier:
    kind, name = values.text(), values.text()
    values.number(), values.number()
    marks = []
    for _ in range(values.count()):
        start = values.number()
        end = values.number() if kind == "IntervalTier" else start
        marks.append(Mark(microseconds(start) or 0, microseconds(end) or 0, values.text()))
    return Tier(name, tuple(marks) if kind == "IntervalTier" else ())


class _Values:
    """The values of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self._source = text
        self._found: Iterator[re.Match[str]] = (m for m in _TOKEN.finditer(text) if m[0][0] != "!")

    def text(self) -> str:
        value = self._next("a text in quotes", '"')
        return value[1:-1].replace('""', '"')

    def number(self) -> float:
        return float(self._next("a number", "+-0123456789"))

    def count(self) -> int:
        """Of what follows; no file holds more than its letters."""
        return int(min(self.number(), len(self._source)))

    def flag(self) -> str:
        return self._next("<exists> or <absent>", "<")

    def _next(self, what: str, first: str) -> str:
        match = next(self._found, None)
        if match is None:
            raise Malformed(f"the file ends where {what} is missing", self._source.count("\n") + 1)
        if match[0][0] not in first:
            line = self._source.count("\n", 0, match.start()) + 1
            raise Malformed(f"{match[0][:40]} stands where {what} is missing", line)
        return match[0]
