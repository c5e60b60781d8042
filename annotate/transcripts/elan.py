"""Reads ELAN annotation files (.eaf): tiers with their own times, and tiers that refer to others.

Format: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

from annotate.transcripts._text import Malformed, language_code, plain
from annotate.transcripts._tier_kinds import Mark, Tier
from annotate.transcripts._tiers import transcript
from annotate.types import Transcript

_DECLARED = re.compile("<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

_US = 1000
"""Microseconds in a millisecond, the time unit of ELAN."""


def read(text: str, tiers: Sequence[str] = ()) -> Transcript:
    """The annotations of the tiers with speech, or of those named by `tiers`.

    Slots without a time are interpolated between their neighbours. An annotation that refers to another has
    its times, and several that divide one share them evenly.

    Raises `Malformed` when this is not an ELAN file, has none of `tiers`, or declares entities, which could
    name other files or expand without end.
    """
    root = _parse(text)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise Malformed(f"the XML is a {root.tag}, not an ANNOTATION_DOCUMENT", 1)
    media = next((m.get("TIME_ORIGIN") for m in root.iter("MEDIA_DESCRIPTOR")), None)
    origin = int(media) if media is not None and _whole(media) else 0
    values = ((slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT"))
    # In microseconds of the video; slots without a time are left out.
    slots = {name: (int(ms) + origin) * _US for name, ms in values if ms is not None and _whole(ms)}
    controlled = {
        kind.get("LINGUISTIC_TYPE_ID")
        for kind in root.iter("LINGUISTIC_TYPE")
        if kind.get("CONTROLLED_VOCABULARY_REF")
    }
    elements = list(root.iter("TIER"))
    placed = _Placed()
    for element in elements:
        annotations = list(element.iter("ALIGNABLE_ANNOTATION"))
        ends = [(a.get("TIME_SLOT_REF1", ""), a.get("TIME_SLOT_REF2", "")) for a in annotations]
        at = _interpolated([name for pair in ends for name in pair], slots)
        for annotation, (a, b) in zip(annotations, ends, strict=True):
            if a in at and b in at:
                guessed = not {a, b} <= slots.keys()
                placed.add(annotation, _mark(annotation, at[a], at[b], guessed=guessed))
    _place_references(elements, placed)
    read_as = transcript([_tier(element, placed, controlled) for element in elements], tiers)
    language = next((code for e in elements if (code := language_code(e.get("LANG_REF")))), "")
    return replace(read_as, language=language)


def _parse(text: str) -> ElementTree.Element:
    start = text.find("<")
    if declared := _DECLARED.search(text):
        line = text.count("\n", 0, declared.start()) + 1
        raise Malformed(f"it holds {declared[0]}, which no ELAN file needs", line)
    if start < 0:
        raise Malformed("this is not XML", 1)
    try:
        return ElementTree.fromstring(text[start:])
    except ElementTree.ParseError as error:
        raise Malformed(f"this is not complete XML: {error.msg}", error.position[0]) from error


def _whole(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"-?\d{1,15}", value) is not None


class _Placed:
    """The annotations whose times are known.

    Merged files may use an id twice, so ids serve only for references, which mean the first annotation with
    the id.
    """

    def __init__(self) -> None:
        self._marks: dict[int, Mark] = {}
        self._first: dict[str, Mark] = {}

    def add(self, annotation: ElementTree.Element, mark: Mark) -> None:
        self._marks[id(annotation)] = mark
        if name := annotation.get("ANNOTATION_ID"):
            self._first.setdefault(name, mark)

    def mark(self, annotation: ElementTree.Element) -> Mark | None:
        return self._marks.get(id(annotation))

    def called(self, name: str) -> Mark | None:
        return self._first.get(name)


def _mark(annotation: ElementTree.Element, start_us: int, end_us: int, *, guessed: bool) -> Mark:
    return Mark(start_us, end_us, _value(annotation), guessed, _where(annotation))


def _value(annotation: ElementTree.Element) -> str:
    return annotation.findtext("ANNOTATION_VALUE") or ""


def _where(annotation: ElementTree.Element) -> str:
    return f"annotation {annotation.get('ANNOTATION_ID', '')}".strip()


def _place_references(elements: Sequence[ElementTree.Element], placed: _Placed) -> None:
    """Give times to annotations that refer to others; the file may list a tier before those it refers to."""
    waiting = [
        (element, list(element.iter("REF_ANNOTATION")))
        for element in elements
        if element.find(".//REF_ANNOTATION") is not None
    ]
    for _ in range(len(waiting)):
        for _, annotations in waiting:
            parts: dict[str, list[ElementTree.Element]] = {}
            for annotation in annotations:
                parts.setdefault(annotation.get("ANNOTATION_REF", ""), []).append(annotation)
            for name, dividing in parts.items():
                if (parent := placed.called(name)) and placed.mark(dividing[0]) is None:
                    _divide(parent, dividing, placed)


def _divide(parent: Mark, parts: Sequence[ElementTree.Element], placed: _Placed) -> None:
    """Divide the time of `parent` evenly among the annotations that refer to it.

    Their order is that of their references to the previous one; if those are broken, that of the file.
    """
    after = {part.get("PREVIOUS_ANNOTATION", ""): part for part in parts}
    chain: list[ElementTree.Element] = []
    name = ""
    while name in after and len(chain) < len(parts):
        chain.append(after[name])
        name = after[name].get("ANNOTATION_ID", "")
    length, count = parent.end_us - parent.start_us, len(parts)
    for n, part in enumerate(chain if len(chain) == count else parts):
        start, end = (parent.start_us + length * k // count for k in (n, n + 1))
        placed.add(part, _mark(part, start, end, guessed=parent.guessed or count > 1))


def _tier(element: ElementTree.Element, placed: _Placed, controlled: Set[str | None]) -> Tier:
    annotations = [a for a in element.iter() if a.tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION")]
    marks = [mark for annotation in annotations if (mark := placed.mark(annotation))]
    return Tier(
        element.get("TIER_ID", ""),
        tuple(sorted(marks, key=lambda mark: mark.start_us)),
        element.get("PARTICIPANT", ""),
        element.get("PARENT_REF", ""),
        timed=all(a.tag == "ALIGNABLE_ANNOTATION" for a in annotations),
        controlled=element.get("LINGUISTIC_TYPE_REF") in controlled,
        untimed=tuple(_where(a) for a in annotations if placed.mark(a) is None and plain(_value(a))),
    )


def _interpolated(names: Sequence[str], slots: Mapping[str, int]) -> dict[str, int]:
    """The times of a tier's slots; missing ones are interpolated between neighbours of the same tier."""
    order = list(dict.fromkeys(names))
    known = [n for n, name in enumerate(order) if name in slots]
    at = {order[n]: slots[order[n]] for n in known}
    for low, high in pairwise(known):
        start, end = slots[order[low]], slots[order[high]]
        at |= {order[n]: start + (end - start) * (n - low) // (high - low) for n in range(low + 1, high)}
    return at
