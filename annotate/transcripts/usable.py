"""Removes the cues of a transcript that are impossible for its video, with counts of the reasons."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from annotate.transcripts._words import joined
from annotate.transcripts.tables import Table
from annotate.types import Cue, Transcript
from annotate.wording import counted

MIN_US = 300_000
MAX_US = 60_000_000
_SLACK_US = 1_000_000
"""How much later than its video the last cue of a file may end."""
_LISTED = 5
"""Positions that a note lists."""

_Faults = dict[str, list[str]]
"""Positions of the dropped cues by reason."""


def usable(transcript: Transcript, duration_us: int) -> Transcript:
    """The cues of a video of `duration_us` microseconds: in order, within it, those of one speaker disjoint.

    Dropped, and listed in the notes, are cues that could not be read, cues with impossible times, without
    words, or of less than 0.3 s, and cues of more than a minute without word times or with a word that long,
    because it is unknown when they are spoken.
    """
    faults: _Faults = defaultdict(list)
    for dropped in transcript.dropped:
        faults[dropped.why].append(dropped.where)
    cues, unit = _in_seconds(transcript, duration_us)
    inside = []
    for cue in cues:
        clipped = _clipped(cue, duration_us)
        words = [word.end_us - word.start_us for word in clipped.words]
        length = clipped.end_us - clipped.start_us
        why = _impossible(cue, duration_us)
        # A long cue can be divided at its words, unless one of them is that long itself.
        if not why and min(length, max(words, default=length)) > MAX_US:
            why = "longer than 60 s"
        if why:
            faults[why].append(cue.where)
        else:
            inside.append(clipped)
    speakers: dict[str, list[Cue]] = {}
    for cue in sorted(inside, key=lambda c: (c.start_us, c.end_us)):
        speakers.setdefault(cue.speaker, []).append(cue)
    kept = []
    for cue in (cue for of_speaker in speakers.values() for cue in disjoint(of_speaker)):
        if cue.end_us - cue.start_us < MIN_US:
            faults["shorter than 0.3 s"].append(cue.where)
        else:
            kept.append(cue)
    ordered = tuple(sorted(kept, key=lambda c: (c.start_us, c.end_us)))
    noun = "subtitle cue" if transcript.origin == "subtitles" else "cue"
    notes = (*_notes(transcript.file, noun, faults), *unit, *transcript.notes)
    return replace(transcript, cues=ordered, notes=notes, dropped=(), whole_numbers="")


def _notes(file: str, noun: str, faults: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A note for each reason, with the known positions: `` (talk.srt, lines 3, 7 and 9)``."""
    notes = []
    for why, positions in sorted(faults.items()):
        note = f"dropped {counted(len(positions), noun)} {why}"
        known = [position for position in positions if position]
        shown = known[:_LISTED]
        kinds = {position.partition(" ")[0] for position in known}
        if len(kinds) == 1 and len(known) > 1:
            shown = [position.partition(" ")[2] for position in shown]
            shown[0] = f"{kinds.pop()}s {shown[0]}"
        if len(known) > _LISTED:
            shown.append(f"{len(known) - _LISTED} more")
        if file and known:
            listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
            note += f" ({file}, {listed})"
        notes.append(note)
    return tuple(notes)


def lost_rows(table: Table) -> tuple[str, ...]:
    """Notes on the rows of a table that could not be assigned to a video."""
    faults: _Faults = defaultdict(list)
    for row in table.lost:
        faults[row.why].append(row.where)
    return _notes(table.file, "row", faults)


def _in_seconds(transcript: Transcript, duration_us: int) -> tuple[Sequence[Cue], tuple[str, ...]]:
    """The cues with times in microseconds, and a note if whole numbers were read as milliseconds.

    Whole numbers count as milliseconds if as seconds they exceed the video, or if in a table with the columns
    of Whisper (which writes milliseconds) most cues would be longer than a minute; unless as milliseconds
    most cues would be too short for a word.
    """
    cues = transcript.cues
    lengths = [cue.end_us - cue.start_us for cue in cues if cue.end_us > cue.start_us]
    if not transcript.whole_numbers or not lengths:
        return cues, ()
    runs_past = max(cue.end_us for cue in cues) > duration_us + _SLACK_US
    too_long = transcript.whole_numbers == "whisper" and median(lengths) > MAX_US
    if not (runs_past or too_long) or median(lengths) / 1000 < MIN_US / 3:
        return cues, ()
    in_ms = tuple(replace(cue, start_us=cue.start_us // 1000, end_us=cue.end_us // 1000) for cue in cues)
    return in_ms, ("times of the transcript read as milliseconds",)


def disjoint(cues: Sequence[Cue]) -> list[Cue]:
    """Sorted cues without overlap and without loss of words.

    A cue within its predecessor adds its text to it; a cue that overlaps it in part starts when it ends.
    """
    kept: list[Cue] = []
    for cue in cues:
        last = kept[-1] if kept else None
        if last is None or cue.start_us >= last.end_us:
            kept.append(cue)
        elif cue.end_us > last.end_us:
            kept.append(replace(cue, start_us=last.end_us))
        elif cue.text != last.text:
            words = tuple(sorted((*last.words, *cue.words), key=lambda w: w.start_us))
            # With words for only a part of the text, the rest would be lost when the cue is divided.
            kept[-1] = replace(
                last,
                text=joined([last.text, cue.text]),
                raw="\n".join(part for part in (last.raw, cue.raw) if part),
                words=words if last.words and cue.words else (),
            )
    return kept


def _clipped(cue: Cue, duration_us: int) -> Cue:
    if all(end_us <= duration_us for end_us in (cue.end_us, *(word.end_us for word in cue.words))):
        return cue
    words = tuple(
        replace(word, start_us=min(word.start_us, duration_us), end_us=min(word.end_us, duration_us))
        for word in cue.words
    )
    return replace(cue, end_us=min(cue.end_us, duration_us), words=words)


def _impossible(cue: Cue, duration_us: int) -> str:
    """Why a cue cannot be used whatever its length; empty if it can."""
    if cue.start_us < 0 or cue.end_us < 0:
        return "with a negative time"
    if cue.end_us <= cue.start_us:
        return "that ends before it starts"
    if cue.start_us >= duration_us:
        return "beyond the end of the video"
    return "" if cue.text else "without words"
