"""Leaves out of a transcript what cannot be true of the video it belongs to, and counts why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from annotate.transcripts._words import joined
from annotate.types import Cue, Transcript, Word

MIN_US = 300_000
MAX_US = 60_000_000


def usable(transcript: Transcript, duration_us: int) -> Transcript:
    """The cues of a video of `duration_us` microseconds: in order, inside it, those of one speaker disjoint.

    Left out and counted in the notes: cues with impossible times, without words, of less than 0.3 s, or of
    more than a minute without times of words, or with a word as long: nobody knows what is said when.
    """
    faults: Counter[str] = Counter()
    inside = [_within(cue, duration_us) for cue in transcript.cues if not _faulty(cue, duration_us, faults)]
    inside = [cue for cue in inside if not _long(cue, faults)]
    speakers: dict[str, list[Cue]] = {}
    for cue in sorted(inside, key=lambda c: (c.start_us, c.end_us)):
        speakers.setdefault(cue.speaker, []).append(cue)
    apart = [cue for cues in speakers.values() for cue in disjoint(cues)]
    kept = [cue for cue in apart if not _short(cue, faults)]
    noun = "subtitle cue" if transcript.origin == "subtitles" else "cue"
    told = tuple(f"dropped {n} {noun if n == 1 else noun + 's'} {why}" for why, n in sorted(faults.items()))
    ordered = tuple(sorted(kept, key=lambda c: (c.start_us, c.end_us)))
    return replace(transcript, cues=ordered, notes=told + transcript.notes)


def disjoint(cues: Sequence[Cue]) -> list[Cue]:
    """Sorted cues without overlap: no word is lost, and no moment is in two.

    One that lies wholly within its predecessor adds its text to it, one that overlaps it in part starts when
    it ends.
    """
    kept: list[Cue] = []
    for cue in cues:
        last = kept[-1] if kept else None
        if last is None or cue.start_us >= last.end_us:
            kept.append(cue)
        elif cue.end_us <= last.end_us:
            kept[-1] = last if cue.text == last.text else _with(last, cue)
        else:
            kept.append(replace(cue, start_us=last.end_us))
    return kept


def _with(last: Cue, cue: Cue) -> Cue:
    words = tuple(sorted((*last.words, *cue.words), key=lambda w: w.start_us))
    # Words for a part of the text only would let the rest be lost when the cue is divided.
    return replace(
        last,
        text=joined([last.text, cue.text]),
        raw="\n".join(part for part in (last.raw, cue.raw) if part),
        words=words if last.words and cue.words else (),
    )


def _within(cue: Cue, duration_us: int) -> Cue:
    if cue.end_us <= duration_us:
        return cue
    words = tuple(_until(word, duration_us) for word in cue.words)
    return replace(cue, end_us=duration_us, words=words)


def _until(word: Word, duration_us: int) -> Word:
    return replace(word, start_us=min(word.start_us, duration_us), end_us=min(word.end_us, duration_us))


def _faulty(cue: Cue, duration_us: int, faults: Counter[str]) -> bool:
    if cue.start_us < 0 or cue.end_us < 0:
        why = "with a negative time"
    elif cue.end_us <= cue.start_us:
        why = "that ends before it starts"
    elif cue.start_us >= duration_us:
        why = "beyond the end of the video"
    elif not cue.text:
        why = "without words"
    else:
        return False
    faults[why] += 1
    return True


def _long(cue: Cue, faults: Counter[str]) -> bool:
    longest = max((word.end_us - word.start_us for word in cue.words), default=MAX_US + 1)
    too_long = cue.end_us - cue.start_us > MAX_US and longest > MAX_US
    faults.update(["longer than 60 s"] if too_long else [])
    return too_long


def _short(cue: Cue, faults: Counter[str]) -> bool:
    too_short = cue.end_us - cue.start_us < MIN_US
    faults.update(["shorter than 0.3 s"] if too_short else [])
    return too_short
