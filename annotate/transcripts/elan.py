"""Reads ELAN annotation files (.eaf): tiers with times are speakers, those that refer to others are not read.

Format: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from xml.etree import ElementTree

from annotate.transcripts._text import Malformed, language_code
from annotate.transcripts._tiers import Mark, Tier, transcript
from annotate.types import Transcript

_DECLARED = re.compile("<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

_US = 1000
"""Microseconds in a millisecond, which is what ELAN counts."""


def read(text: str) -> Transcript:
    """Every annotation with a time of its own; slots without a time lie evenly between their neighbours.

    Raises `Malformed` when this is no such file, or declares entities: they could name other files, or grow
    without end.
    """
    root = _parse(text)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise Malformed(f"the XML is a {root.tag}, no ANNOTATION_DOCUMENT", 1)
    slots = _slots(root)
    tiers = [tier for element in root.iter("TIER") if (tier := _tier(element, slots)) is not None]
    # What divides another tier without being its words (glosses, gestures) is no speech of its own.
    top = {tier.name for tier in tiers if not tier.of}
    kept = [tier for tier in tiers if not tier.of or (tier.of in top and _divides(tier, tiers))]
    read_as = transcript(kept)
    language = next((code for e in root.iter("TIER") if (code := language_code(e.get("LANG_REF")))), "")
    return Transcript(read_as.cues, read_as.origin, language, read_as.notes)


def _parse(text: str) -> ElementTree.Element:
    start = text.find("<")
    if declared := _DECLARED.search(text):
        line = text.count("\n", 0, declared.start()) + 1
        raise Malformed(f"it holds {declared[0]}, which no ELAN file needs", line)
    if start < 0:
        raise Malformed("this is no XML", 1)
    try:
        return ElementTree.fromstring(text[start:])
    except ElementTree.ParseError as error:
        raise Malformed(f"this is no whole XML: {error.msg}", error.position[0]) from error


def _whole(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"-?\d{1,15}", value) is not None


def _slots(root: ElementTree.Element) -> dict[str, int]:
    """Microseconds in the video of every time slot that has a time."""
    media = next((m.get("TIME_ORIGIN") for m in root.iter("MEDIA_DESCRIPTOR")), None)
    origin = int(media) if media is not None and _whole(media) else 0
    told = ((slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT"))
    return {name: (int(ms) + origin) * _US for name, ms in told if ms is not None and _whole(ms)}


def _tier(element: ElementTree.Element, slots: Mapping[str, int]) -> Tier | None:
    """None for one whose annotations have no times of their own."""
    found = list(element.iter("ALIGNABLE_ANNOTATION"))
    names = [(a.get("TIME_SLOT_REF1", ""), a.get("TIME_SLOT_REF2", "")) for a in found]
    at = _interpolated([name for pair in names for name in pair], slots)
    marks = [
        Mark(at[a], at[b], annotation.findtext("ANNOTATION_VALUE") or "", not {a, b} <= slots.keys())
        for annotation, (a, b) in zip(found, names, strict=True)
        if a in at and b in at
    ]
    if not marks:
        return None
    ordered = tuple(sorted(marks, key=lambda mark: mark.start_us))
    return Tier(
        element.get("TIER_ID", ""), ordered, element.get("PARTICIPANT", ""), element.get("PARENT_REF", "")
    )


def _interpolated(names: Sequence[str], slots: Mapping[str, int]) -> dict[str, int]:
    """The times of a tier's slots; those without one lie evenly between the tier's own neighbours."""
    order = list(dict.fromkeys(names))
    known = [n for n, name in enumerate(order) if name in slots]
    at = {order[n]: slots[order[n]] for n in known}
    for low, high in pairwise(known):
        start, end = slots[order[low]], slots[order[high]]
        at |= {order[n]: start + (end - start) * (n - low) // (high - low) for n in range(low + 1, high)}
    return at


def _divides(tier: Tier, tiers: Sequence[Tier]) -> bool:
    """Whether `tier` holds the words of its parent: most marks are single ones."""
    single = sum(1 for mark in tier.marks if len(mark.raw.split()) <= 1)
    parent = next(t for t in tiers if t.name == tier.of)
    return single > 0.9 * len(tier.marks) and len(tier.marks) > len(parent.marks)
