"""Reads WebVTT subtitles (.vtt): voices as speakers, times inside a line as times of words.

Format: https://www.w3.org/TR/webvtt1/
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from annotate.transcripts._captions import DAMAGED, UNTIMED, Caption, damaged_times, once, times
from annotate.transcripts._text import language_code, plain
from annotate.transcripts._times import clock
from annotate.transcripts._words import TimedWord, timed
from annotate.types import Cue, Dropped, Transcript, Word

_ASIDE = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^\s<>][^<>]*)>")
_STAMP = re.compile(r"<(\d+(?::\d+)+(?:[.,]\d+)?)>")
_LANGUAGE = re.compile(r"(?m)^Language:\s*(\S+)")


def read(text: str) -> Transcript:
    """Every cue, in file order, times as written.

    A cue whose line of times is damaged is dropped, and so is text below an empty line, which no cue owns.
    """
    head, _, _ = text.partition("\n\n")
    language = _LANGUAGE.search(head)
    captions: list[Caption] = []
    dropped: list[Dropped] = []
    for first, block in _blocks(text):
        for part in _parts(block, first):
            if isinstance(part, Caption):
                captions.append(part)
            elif captions or part.why == DAMAGED:
                # What stands before the first cue is the header.
                dropped.append(part)
    cues = tuple(_cue(caption) for caption in once(captions))
    code = language_code(language[1]) if language else ""
    return Transcript(cues, "subtitles", code, dropped=tuple(dropped))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """What stands between empty lines, with the number of its first line.

    A line that holds a space is no empty line: captions that roll begin with one.
    """
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line:
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _parts(block: Sequence[str], first: int) -> Iterator[Caption | Dropped]:
    """Usually one caption; more where the lines between them are not quite empty."""
    if _ASIDE.match(block[0]):
        return
    starts = [n for n, line in enumerate(block) if times(line) is not None or _damaged(block, n)]
    if not starts and not block[0].startswith("WEBVTT") and _holds_text(block):
        yield Dropped(UNTIMED, f"line {first}")
    for at, after in zip(starts, [*starts[1:], len(block)], strict=False):
        ends, where = times(block[at]), f"line {first + at}"
        below = list(block[at + 1 : after])
        if after < len(block) and len(below) > 1 and not below[-2].strip():
            below.pop()  # the name of the next cue
        yield Caption(*ends, tuple(below), where) if ends else Dropped(DAMAGED, where)


def _damaged(block: Sequence[str], at: int) -> bool:
    opens = at < 2 or not block[at - 1].strip()
    return damaged_times(block[at], opens=opens)


def _holds_text(block: Sequence[str]) -> bool:
    """Whether a block without times is more than the name of a cue."""
    return len(block) > 1 or not block[0].strip().isdecimal()


def _cue(caption: Caption) -> Cue:
    raw = "\n".join(caption.lines)
    # Of two voices in one cue nobody knows when the second begins.
    voices = {plain(name) for name in _VOICE.findall(raw)}
    text = plain(raw.replace("\n", " "), markup=True)
    cue = Cue(caption.start_us, caption.end_us, text, raw, where=caption.where)
    return replace(cue, speaker=voices.pop() if len(voices) == 1 else "", words=_words(caption, raw))


def _words(caption: Caption, raw: str) -> tuple[Word, ...]:
    """Those of a line with times in it; each time is where the words after it begin."""
    first, *rest = _STAMP.split(raw)
    if not rest:
        return ()
    words = _timed_words(first, caption.start_us)
    for stamp, piece in zip(rest[::2], rest[1::2], strict=True):
        words += _timed_words(piece, clock(stamp))
    return timed(words, caption.start_us, caption.end_us)


def _timed_words(piece: str, start_us: int | None) -> list[TimedWord]:
    words = plain(piece, markup=True).split()
    return [TimedWord(word, None if n else start_us) for n, word in enumerate(words)]
