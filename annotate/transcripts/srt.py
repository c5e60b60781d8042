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
    """A line of times and what stands below it, up to the next one."""

    line: int
    ends: tuple[int, int] | None
    """None when the line is damaged."""
    number: int | None
    """Of the cue, which stands above its times."""
    body: tuple[str, ...]
    """Without the number of the next cue."""


def read(text: str) -> Transcript:
    """Every cue, in file order, times as written.

    A cue whose line of times is damaged or missing is dropped with its text: its neighbours stay as they are.
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
        captions.append(Caption(*block.ends, _trimmed(lines), f"line {block.line}"))
    cues = tuple(_cue(caption) for caption in once(captions))
    return Transcript(cues, "subtitles", dropped=tuple(dropped))


def _cue(caption: Caption) -> Cue:
    said = _MICRODVD.sub("", _BREAK.sub(" ", " ".join(caption.lines)))
    return Cue(caption.start_us, caption.end_us, plain(said), "\n".join(caption.lines), where=caption.where)


def _blocks(lines: Sequence[str]) -> list[_Block]:
    """The file divided at its lines of times; only the number of the first cue is taken from above them."""
    starts = [n for n in range(len(lines)) if times(lines[n]) is not None or _damaged(lines, n)]
    blocks: list[_Block] = []
    _, number = _split_number(lines[: starts[0] if starts else 0], None, first=True)
    for at, after in zip(starts, [*starts[1:], len(lines)], strict=False):
        body, following = list(lines[at + 1 : after]), None
        if after < len(lines):
            body, following = _split_number(body, number)
        blocks.append(_Block(at + 1, times(lines[at]), number, tuple(body)))
        number = following
    return blocks


def _damaged(lines: Sequence[str], at: int) -> bool:
    before = lines[at - 1].strip() if at else ""
    return damaged_times(lines[at], opens=not before or _numeral(before) is not None)


def _numeral(line: str) -> int | None:
    bare = line.strip().strip("\ufeff").removeprefix("#").rstrip(".:)")
    return int(bare) if bare.isdecimal() and len(bare) <= 9 else None


def _split_number(
    lines: Sequence[str], own: int | None, *, first: bool = False
) -> tuple[list[str], int | None]:
    """What stands between two lines of times, divided into text and the number of the next cue.

    `own` is the number of the cue that the text belongs to. The number stands right above the times, in some
    files with a blank line between, in some twice.
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
    """Where in the body of `block` cues begin whose line of times is missing altogether.

    Their number stands below a blank line, and lies between that of `block` and that of the next cue.
    """
    if block.number is None:
        return []
    last = block.number + 1 if after is None else after - 1
    found: list[int] = []
    for n, line in enumerate(block.body):
        number = _numeral(line)
        opens = n > 0 and not block.body[n - 1].strip()
        if number is not None and opens and block.number + len(found) < number <= last:
            found.append(n)
    return found


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    """Without blank lines around."""
    kept = [n for n, line in enumerate(lines) if line.strip()]
    return tuple(lines[kept[0] : kept[-1] + 1]) if kept else ()
