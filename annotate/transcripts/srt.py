"""Reads SubRip subtitles (.srt), also without numbers, without blank lines or with points for commas."""

from annotate.transcripts._captions import Caption, times, unrolled
from annotate.transcripts._text import plain
from annotate.types import Cue, Transcript


def read(text: str) -> Transcript:
    """Every cue, in file order, times as written."""
    captions: list[Caption] = []
    lines: list[str] = []
    ends: tuple[int, int] | None = None
    for line in [*text.split("\n"), "", "0 --> 0"]:
        found = times(line)
        if found is None:
            lines.append(line)
            continue
        if ends is not None:
            captions.append(Caption(*ends, _without_number(lines)))
        ends, lines = found, []
    cues = (
        Cue(c.start_us, c.end_us, plain(" ".join(c.lines)), "\n".join(c.lines)) for c in unrolled(captions)
    )
    return Transcript(tuple(cues), "subtitles")


def _without_number(lines: list[str]) -> tuple[str, ...]:
    """Without the number of the next cue, which stands right above its times, and blank lines around."""
    if len(lines) > 1 and lines[-1].strip().isdecimal():
        lines = lines[:-1]
    kept = [n for n, line in enumerate(lines) if line.strip()]
    return tuple(lines[kept[0] : kept[-1] + 1]) if kept else ()
