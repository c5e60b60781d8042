"""Takes the cues of a transcript as they are: one utterance each."""

from annotate.registry import segmenter
from annotate.types import Cue, Footage, LengthRules, Segment, Speech


@segmenter("subtitles")
class Subtitles:
    """The cues of the transcript, one utterance each."""

    def __init__(self, *, preset: str = "near") -> None:
        """`preset` has no effect, because this segmenter does not use the audio."""

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """Every cue, in order; where two overlap, the later one starts when the earlier one ends."""
        found: list[Segment] = []
        for cue in sorted(footage.transcript.cues if footage.transcript else (), key=lambda c: c.start_us):
            start = max(cue.start_us, found[-1].end_us) if found else cue.start_us
            if start < cue.end_us:
                found.append(_segment(cue, start))
        return Speech(tuple(found), meant=True)


def _segment(cue: Cue, start_us: int) -> Segment:
    return Segment(start_us, cue.end_us, cue.text, cue.raw, cue.speaker, cue.words)
