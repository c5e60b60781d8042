"""Summarises the notes about single videos over many of them."""

import re
from collections import defaultdict
from collections.abc import Iterable

_PLACE = re.compile(r" \(([^()]*, (?:line|segment|interval|annotation)s? [^()]*)\)$")
_NUMBER = re.compile(r"(?<=^dropped )\d+ ((?:subtitle )?cue)s?(?= )")


def counted_notes(details: Iterable[str]) -> dict[str, int]:
    """How many videos each note applies to, the most frequent first; `details` has the notes of each video.

    Notes that differ only in how many cues were dropped, and where, count as one, shown with the first place.
    """
    videos: dict[str, int] = defaultdict(int)
    first: dict[str, str] = {}
    for detail in details:
        for note in filter(None, detail.split("; ")):
            kind = _NUMBER.sub(r"\1s", _PLACE.sub("", note))
            first.setdefault(kind, note)
            videos[kind] += 1
    return {
        _shown(kind, first[kind], number): number
        for kind, number in sorted(videos.items(), key=lambda item: (-item[1], item[0]))
    }


def _shown(kind: str, first: str, number: int) -> str:
    """The note itself for a single video; for several, without the number of cues."""
    place = _PLACE.search(first)
    if number == 1 or place is None:
        return first if number == 1 else kind if _NUMBER.search(first) else first
    return f"{kind} ({place[1]} and in {number - 1} more)"
