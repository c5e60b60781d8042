"""Reads WebVTT subtitles (.vtt): voices become speakers, times within a line become word times.

Format: https://www.w3.org/TR/webvtt1/
"""

import re
from collections.abc import Iterator, Sequence

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
    """Every cue in file order, with its times as written.

    Cues with a damaged timing line are dropped, and so is text without a timing line below an empty line.
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
                # Text before the first cue is the header.
                dropped.append(part)
    cues = []
    for caption in once(captions):
        raw = "\n".join(caption.lines)
        # If a cue has two voices, it is unknown when the second begins.
        voices = {plain(name) for name in _VOICE.findall(raw)}
        speaker = voices.pop() if len(voices) == 1 else ""
        spoken = plain(raw.replace("\n", " "), markup=True)
        words = _words(caption, raw)
        cues.append(Cue(caption.start_us, caption.end_us, spoken, raw, speaker, words, caption.where))
    code = language_code(language[1]) if language else ""
    return Transcript(tuple(cues), "subtitles", code, dropped=tuple(dropped))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """The blocks between empty lines, each with the number of its first line.

    A line with a space is not empty: rolling captions begin with one.
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
    starts = []
    for n, line in enumerate(block):
        opens = n < 2 or not block[n - 1].strip()
        if times(line) is not None or damaged_times(line, opens=opens):
            starts.append(n)
    only_a_name = len(block) == 1 and block[0].strip().isdecimal()
    if not starts and not block[0].startswith("WEBVTT") and not only_a_name:
        yield Dropped(UNTIMED, f"line {first}")
    for at, after in zip(starts, [*starts[1:], len(block)], strict=False):
        ends, where = times(block[at]), f"line {first + at}"
        below = list(block[at + 1 : after])
        if after < len(block) and len(below) > 1 and not below[-2].strip():
            below.pop()  # the name of the next cue
        yield Caption(*ends, tuple(below), where) if ends else Dropped(DAMAGED, where)


def _words(caption: Caption, raw: str) -> tuple[Word, ...]:
    """The words of a caption with times within its lines; each time is the start of the words after it.

    Times outside the caption, which the format forbids, count as missing.
    """
    first, *rest = _STAMP.split(raw)
    if not rest:
        return ()
    words = _timed_words(first, caption.start_us)
    for stamp, piece in zip(rest[::2], rest[1::2], strict=True):
        at = clock(stamp)
        within = at is not None and caption.start_us <= at <= caption.end_us
        words += _timed_words(piece, at if within else None)
    return timed(words, caption.start_us, caption.end_us)


def _timed_words(piece: str, start_us: int | None) -> list[TimedWord]:
    words = plain(piece, markup=True).split()
    return [TimedWord(word, None if n else start_us) for n, word in enumerate(words)]
