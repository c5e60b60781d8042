"""Reads SubRip subtitles (.srt), also without numbers, without blank lines or with points for commas."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from annotate.transcripts._captions import DAMAGED, UNTIMED, Caption, damaged_times, once, times
from annotate.transcripts._text import plain
from annotate.types import Cue, Dropped, Transcript

_BREAK = re.compile(r"\\[Nnh]")
_MICRODVD = re.compile(r"(?i)\{[ycfsp]:[^{}]*\}")


@dataclass(frozen=True, slots=True)
class _Block:
    """A timing line and the lines below it, up to the next timing line."""

    line: int
    ends: tuple[int, int] | None
    """None when the timing line is damaged."""
    number: int | None
    """Number of the cue, from the line above its times."""
    body: tuple[str, ...]
    """Lines of text, without the number of the next cue."""


def read(text: str) -> Transcript:
    """Every cue in file order, with its times as written.

    A cue whose timing line is damaged or missing is dropped with its text; its neighbours stay as they are.
    """
    blocks = _blocks(text.split("\n"))
    captions: list[Caption] = []
    dropped: list[Dropped] = []
    for number, block in enumerate(blocks):
        if block.ends is None:
            dropped.append(Dropped(DAMAGED, f"line {block.line}"))
            continue
        after = blocks[number + 1].number if number + 1 < len(blocks) else None
        at = _untimed(block, after)
        dropped += [Dropped(UNTIMED, f"line {block.line + 1 + n}") for n in at]
        lines = block.body[: at[0]] if at else block.body
        filled = [n for n, line in enumerate(lines) if line.strip()]
        trimmed = tuple(lines[filled[0] : filled[-1] + 1]) if filled else ()
        captions.append(Caption(*block.ends, trimmed, f"line {block.line}"))
    cues = []
    for caption in once(captions):
        text = plain(_MICRODVD.sub("", _BREAK.sub(" ", " ".join(caption.lines))))
        raw = "\n".join(caption.lines)
        cues.append(Cue(caption.start_us, caption.end_us, text, raw, where=caption.where))
    return Transcript(tuple(cues), "subtitles", dropped=tuple(dropped))


def _blocks(lines: Sequence[str]) -> list[_Block]:
    """The file divided at its timing lines; of the lines above the first one, only the number is used."""
    starts = []
    for n, line in enumerate(lines):
        before = lines[n - 1].strip() if n else ""
        opens = not before or _numeral(before) is not None
        if times(line) is not None or damaged_times(line, opens=opens):
            starts.append(n)
    blocks: list[_Block] = []
    _, number = _split_number(lines[: starts[0] if starts else 0], None, first=True)
    for at, after in zip(starts, [*starts[1:], len(lines)], strict=False):
        body, following = list(lines[at + 1 : after]), None
        if after < len(lines):
            body, following = _split_number(body, number)
        blocks.append(_Block(at + 1, times(lines[at]), number, tuple(body)))
        number = following
    return blocks


def _numeral(line: str) -> int | None:
    bare = line.strip().strip("\ufeff").removeprefix("#").rstrip(".:)")
    return int(bare) if bare.isdecimal() and len(bare) <= 9 else None


def _split_number(
    lines: Sequence[str], own: int | None, *, first: bool = False
) -> tuple[list[str], int | None]:
    """Divide the lines between two timing lines into the text and the number of the next cue.

    `own` is the number of the cue that the text belongs to. The number is directly above the times, in some
    files with a blank line between, and in some files twice.
    """
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    number = _numeral(kept[-1]) if kept else None
    if number is None:
        return list(lines), None
    apart = len(kept) < len(lines) and not first
    alone = len(kept) == 1 and not first
    follows = own is not None and number == own + 1
    # A text may be a number, too.
    if (apart or alone) and not follows and not (apart and len(kept) > 1 and number == own):
        return list(lines), None
    kept.pop()
    while len(kept) > 1 and (not kept[-1].strip() or (_numeral(kept[-1]) == number and not kept[-2].strip())):
        kept.pop()
    return kept, number


def _untimed(block: _Block, after: int | None) -> list[int]:
    """Positions in the body of `block` at which cues without a timing line begin.

    Their number follows a blank line, and is between that of `block` and that of the next cue.
    """
    if block.number is None:
        return []
    last = block.number + 1 if after is None else after - 1
    positions: list[int] = []
    for n, line in enumerate(block.body):
        number = _numeral(line)
        opens = n > 0 and not block.body[n - 1].strip()
        if number is not None and opens and block.number + len(positions) < number <= last:
            positions.append(n)
    return positions
