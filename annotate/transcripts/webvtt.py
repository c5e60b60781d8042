"""Reads WebVTT subtitles (.vtt): voices as speakers, times inside a line as times of words.

Format: https://www.w3.org/TR/webvtt1/
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from annotate.transcripts._captions import Caption, times, unrolled
from annotate.transcripts._text import language_code, plain
from annotate.transcripts._times import clock
from annotate.transcripts._words import Heard, timed
from annotate.types import Cue, Transcript, Word

_ASIDE = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^\s<>][^<>]*)>")
_STAMP = re.compile(r"<(\d[\d:.]*)>")
_LANGUAGE = re.compile(r"(?m)^Language:\s*(\S+)")


def read(text: str) -> Transcript:
    """Every cue, in file order, times as written."""
    head, _, _ = text.partition("\n\n")
    language = _LANGUAGE.search(head)
    # A line that holds a space is no blank line: captions that roll begin with one.
    captions = [caption for block in re.split(r"\n\n+", text) for caption in _captions(block)]
    cues = tuple(_cue(caption) for caption in unrolled(captions))
    return Transcript(cues, "subtitles", language_code(language[1]) if language else "")


def _captions(block: str) -> Iterator[Caption]:
    """Usually one; more where the lines between them are not quite blank."""
    lines = block.strip("\n").split("\n")
    if _ASIDE.match(lines[0]):
        return
    starts = [n for n, line in enumerate(lines) if times(line) is not None]
    for first, after in zip(starts, [*starts[1:], len(lines)], strict=False):
        ends = times(lines[first])
        assert ends is not None
        below = lines[first + 1 : after]
        if after < len(lines) and len(below) > 1 and not below[-2].strip():
            below.pop()  # the name of the next cue
        yield Caption(*ends, tuple(below))


def _cue(caption: Caption) -> Cue:
    raw = "\n".join(caption.lines)
    # Of two voices in one cue nobody knows when the second begins.
    voices = {plain(name) for name in _VOICE.findall(raw)}
    cue = Cue(caption.start_us, caption.end_us, plain(raw.replace("\n", " ")), raw)
    return replace(cue, speaker=voices.pop() if len(voices) == 1 else "", words=_words(caption, raw))


def _words(caption: Caption, raw: str) -> tuple[Word, ...]:
    """Those of a line with times in it; each time is where the words after it begin."""
    first, *rest = _STAMP.split(raw)
    if not rest:
        return ()
    heard = _heard(first, caption.start_us)
    for stamp, piece in zip(rest[::2], rest[1::2], strict=True):
        heard += _heard(piece, clock(stamp))
    return timed(heard, caption.start_us, caption.end_us)


def _heard(piece: str, start_us: int | None) -> list[Heard]:
    return [Heard(word, None if n else start_us) for n, word in enumerate(plain(piece).split())]
