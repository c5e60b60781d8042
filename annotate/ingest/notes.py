"""Counts how many videos each note applies to, so that a note is shown once for all of them."""

import re
from collections import defaultdict
from collections.abc import Iterable

_PLACE = re.compile(r" \(([^()]*, (?:line|segment|interval|annotation)s? [^()]*)\)$")
_NUMBER = re.compile(r"(?<=^dropped )\d+ ((?:subtitle )?cue)s?(?= )")


def counted_notes(details: Iterable[str]) -> dict[str, int]:
    """How many videos each note applies to, the most frequent first; `details` has the notes of each video.

    Notes that differ only in the number of dropped cues and in the place count as one: if it applies to
    several videos, the number is left out and the place is the first.
    """
    videos: dict[str, int] = defaultdict(int)
    first: dict[str, str] = {}
    for detail in details:
        for note in filter(None, detail.split("; ")):
            kind = _NUMBER.sub(r"\1s", _PLACE.sub("", note))
            first.setdefault(kind, note)
            videos[kind] += 1
    counts = {}
    for kind, number in sorted(videos.items(), key=lambda item: (-item[1], item[0])):
        note = first[kind]
        if number > 1:
            place = _PLACE.search(note)
            if place is not None:
                note = f"{kind} ({place[1]} and in {number - 1} more)"
            elif _NUMBER.search(note):
                note = kind
        counts[note] = number
    return counts
