"""Makes an utterance of each sentence and speaker turn of a transcript."""

from collections.abc import Iterable

from annotate.registry import segmenter
from annotate.segmenters.words import Piece, joined, pieces
from annotate.types import Cue, Footage, LengthRules, Segment, Speech

_PAUSE_US = 1_000_000
"""A sentence does not go on after a longer silence."""


@segmenter("transcript")
class Sentences:
    """One utterance per sentence and speaker turn of the transcript.

    Cues of one speaker are joined until a sentence ends (no pause over 1 s, no longer than `max_seconds`);
    a cue with several sentences is divided where its words have times. Cues without any end-of-sentence
    mark stay as they are.
    """

    def __init__(self, *, preset: str = "near") -> None:
        """`preset` has no effect, because this segmenter does not use the audio."""

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """Cues that end within a sentence are joined with the next of the same speaker as long as they fit.

        A cue that holds several sentences is divided where its words have times. Where no cue
        ends with a mark, all stay as they are. Of two that overlap, the later starts when the earlier ends.
        """
        cues = sorted(footage.transcript.cues if footage.transcript else (), key=lambda c: c.start_us)
        parts = [part for cue in cues for part in sentences(cue)]
        marked = any(ends for _, ends in parts)
        most = round(lengths.max_seconds * 1e6)
        joined_cues: list[Cue] = []
        whole = True
        for part, ends in parts:
            before = joined_cues[-1] if joined_cues and marked and not whole else None
            # Text without word times would be lost when a joined cue with some is divided by its words.
            if (
                before is not None
                and before.speaker == part.speaker
                and part.start_us - before.end_us <= _PAUSE_US
                and bool(before.words) == bool(part.words)
                and part.end_us - before.start_us <= most
            ):
                joined_cues[-1] = Cue(
                    before.start_us,
                    max(before.end_us, part.end_us),
                    joined([before.text, part.text]),
                    joined([before.raw, part.raw]),
                    before.speaker,
                    before.words + part.words,
                )
            else:
                joined_cues.append(part)
            whole = ends
        return Speech(tuple(disjoint(joined_cues)), meant=True)


def sentences(cue: Cue) -> list[tuple[Cue, bool]]:
    """A cue divided after each sentence whose words have times, and whether each part ends a sentence."""
    if not cue.text:
        return [(cue, True)]
    sentences_of_cue, part = [], []
    for piece in pieces([cue]):
        part.append(piece)
        if piece.ends_sentence:
            sentences_of_cue.append(part)
            part = []
    parts = [p for p in (*sentences_of_cue, part) if p]
    if len(parts) == 1:
        return [(cue, parts[0][-1].ends_sentence)]
    return [(_part(cue, p, p is parts[0], p is parts[-1]), p[-1].ends_sentence) for p in parts]


def _part(cue: Cue, part: list[Piece], first: bool, last: bool) -> Cue:
    start = min(cue.start_us, part[0].start_us) if first else part[0].start_us
    end = max(cue.end_us, part[-1].end_us) if last else max(p.end_us for p in part)
    words = tuple(p.word for p in part if p.word)
    text, raw = (joined(["".join(column)]) for column in zip(*((p.text, p.raw) for p in part), strict=True))
    return Cue(start, end, text, raw, cue.speaker, words)


def disjoint(cues: Iterable[Cue]) -> list[Segment]:
    """Segments of ordered cues; where two overlap, the later one starts when the earlier one ends."""
    segments: list[Segment] = []
    for cue in cues:
        start = max(cue.start_us, segments[-1].end_us) if segments else cue.start_us
        if start < cue.end_us:
            segments.append(Segment(start, cue.end_us, cue.text, cue.raw, cue.speaker, cue.words))
    return segments
