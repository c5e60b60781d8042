"""Turns the output of any segmenter into utterances of a usable length."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from annotate.segmenters._runs import runs_of
from annotate.segmenters.words import Span, TimedWords, pieces, with_words
from annotate.types import Cue, LengthRules, Segment, Speech, Transcript

_VOICED = 0.35
"""Voicing below this is a pause."""
_REACH_US = 500_000
"""Largest gap between a span that is too short for an utterance and the neighbour that it is joined to."""
_LEAST_PART_US = 100_000
"""Shortest part that is cut off."""
_LAST_SHARE = 0.4
"""Cuts are placed in this last share of the allowed length, so that parts are not needlessly short."""


def utterances(
    speech: Speech, transcript: Transcript | None, lengths: LengthRules, duration_us: int
) -> list[Segment]:
    """Ordered, disjoint, padded utterances within the video; no boundary lies inside a word with known times.

    Spans of speech are split at speaker changes, joined over short gaps, and split at their best pauses when
    too long. Spans that are too short for an utterance are joined to the nearest neighbour in reach; a span
    without one stays an utterance, so that no speech is lost. Segments that are meant as utterances
    (`Speech.meant`) are split only if they are too long and their words have times. Utterances without a text
    of their own get the words spoken in them.
    """
    spoken = TimedWords(tuple(pieces(transcript.cues if transcript else ())))
    rules = _Rules.of(lengths)
    if speech.meant:
        segments = [part for s in speech.segments for part in _meant(s, speech, spoken, rules)]
    else:
        spans = _stretches(speech, turns(transcript, spoken), spoken, rules)
        evidence = _CutEvidence(speech, spoken)
        parts = [p for span in spans for p in divide(span, evidence, rules)]
        # The last frame of voicing may extend beyond the end of the video.
        inside = [(start, min(end, duration_us)) for start, end in parts]
        segments = [with_words(Segment(*p), spoken.among(p)) for p in inside if p[0] < p[1]]
    return pad(segments, rules.pad_us, duration_us, rules.whole_us, spoken.spans, faint=_Faint(speech))


@dataclass(frozen=True, slots=True)
class _Rules:
    """`LengthRules` in microseconds, less the padding."""

    alone_us: int
    """A shorter span is too short for an utterance."""
    least_us: int
    most_us: int
    whole_us: int
    """Longest utterance with its padding."""
    pad_us: int
    bridge_us: int

    @classmethod
    def of(cls, lengths: LengthRules) -> "_Rules":
        least = max(0.1, lengths.min_seconds - 2 * lengths.pad_seconds)
        most = max(2 * least, lengths.max_seconds - 2 * lengths.pad_seconds)
        whole = max(most, lengths.max_seconds)
        return cls(
            *(
                round(s * 1e6)
                for s in (
                    lengths.min_seconds / 2, least, most, whole, lengths.pad_seconds, lengths.bridge_seconds
                )
            )
        )  # fmt: skip


def _meant(segment: Segment, speech: Speech, spoken: TimedWords, rules: _Rules) -> list[Segment]:
    """A cue, whole or split with its words; a window or scene with the words spoken in it."""
    if not segment.text and not segment.words:
        # Both ends move to the start of the word that they divide, so that adjacent windows still meet.
        ends = (segment.start_us, segment.end_us)
        start, end = (word[0] if (word := spoken.covering(at)) else at for at in ends)
        span = (start, end) if start < end else None
        return (
            [with_words(replace(segment, start_us=span[0], end_us=span[1]), spoken.among(span))]
            if span
            else []
        )
    if segment.end_us - segment.start_us <= rules.whole_us or not segment.words:
        return [segment]
    s = segment
    own = TimedWords(tuple(pieces([Cue(s.start_us, s.end_us, s.text, s.raw, s.speaker, s.words)])))
    parts = divide((segment.start_us, segment.end_us), _CutEvidence(speech, own), rules)
    # The first and the last part also get the words whose times lie outside of the cue.
    edges = [0, *(start for start, _ in parts[1:]), 1 << 62]
    words_of_parts = [own.among(span) for span in pairwise(edges)]
    return [
        with_words(Segment(*part, speaker=segment.speaker), words)
        for part, words in zip(parts, words_of_parts, strict=True)
        if words
    ]


def _stretches(speech: Speech, divides: Sequence[int], spoken: TimedWords, rules: _Rules) -> list[Span]:
    """Spans of whole words and of one speaker each, joined over short gaps."""
    raw = [(s.start_us, s.end_us) for s in speech.segments]
    whole = join(sorted([*raw, *(w for span in raw for w in spoken.touched(span))]), lambda a, b: b <= a)
    single = [part for span in whole for part in split_at(span, divides)]

    def one_turn(end: int, start: int) -> bool:
        return bisect_right(divides, start) == bisect_right(divides, end - 1)

    def near(end: int, start: int) -> bool:
        return start - end < rules.bridge_us and one_turn(end, start)

    return _join_short(join(single, near), one_turn, rules)


def _join_short(spans: Sequence[Span], one_turn: Callable[[int, int], bool], rules: _Rules) -> list[Span]:
    """Join each span that is too short for an utterance to its nearest neighbour, if one is in reach.

    `one_turn` returns whether the end of one span and the start of the next belong to the same speaker.
    """
    joined, at = list(spans), 0

    def gap(left: int) -> int | None:
        """The gap between a span and the next, or None if they may not be joined."""
        if not 0 <= left < len(joined) - 1:
            return None
        (start, end), (after, last) = joined[left : left + 2]
        fits = after - end <= _REACH_US and last - start <= rules.most_us
        return after - end if fits and one_turn(end, after) else None

    while at < len(joined):
        start, end = joined[at]
        near = [(g, left) for left in (at - 1, at) if (g := gap(left)) is not None]
        if end - start >= rules.alone_us or not near:
            at += 1
            continue
        _, left = min(near)
        joined[left : left + 2] = [(joined[left][0], joined[left + 1][1])]
        at = left
    return joined


def join(spans: Sequence[Span], belong: Callable[[int, int], bool]) -> list[Span]:
    """Join ordered spans wherever `belong(end, next_start)` is true."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and belong(joined[-1][1], start):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def split_at(span: Span, times: Sequence[int]) -> list[Span]:
    """The span split at those of the ordered `times` that lie inside it."""
    inside = times[bisect_right(times, span[0]) : bisect_right(times, span[1] - 1)]
    return list(pairwise([span[0], *inside, span[1]]))


def turns(transcript: Transcript | None, spoken: TimedWords) -> list[int]:
    """Times of speaker changes: the middle of the pause, and never inside a word."""
    cues = sorted(transcript.cues if transcript else (), key=lambda c: c.start_us)
    changes = set()
    for before, after in pairwise(c for c in cues if c.speaker):
        if before.speaker != after.speaker:
            middle = (max(before.start_us, min(before.end_us, after.start_us)) + after.start_us) // 2
            word = spoken.covering(middle)
            changes.add(min(word, key=lambda edge: abs(edge - middle)) if word else middle)
    return sorted(changes)


@dataclass(frozen=True)
class _CutEvidence:
    """The voicing and the words that determine where a span may be cut."""

    speech: Speech
    spoken: TimedWords

    @cached_property
    def pauses(self) -> list[Span]:
        """Spans without voice, in order; empty without voicing."""
        if self.speech.voicing is None:
            return []
        step = self.speech.step_us
        return [(a * step, b * step) for a, b in runs_of(self.speech.voicing < _VOICED)]

    def longest_pause(self, gaps: Sequence[Span]) -> Span | None:
        """The longest pause in any of `gaps`, the first of equals."""
        pauses = []
        for start, end in gaps:
            first = bisect_right(self.pauses, start, key=itemgetter(1))
            for pause_start, pause_end in islice(self.pauses, first, None):
                if pause_start >= end:
                    break
                pauses.append((max(start, pause_start), min(end, pause_end)))
        return max(pauses, key=lambda pause: pause[1] - pause[0], default=None)

    def quietest(self, gaps: Sequence[Span]) -> int:
        """The time in `gaps` at which a voice is least likely.

        Without voicing it is the middle of the longest gap between words, or the end if there are no words.
        """
        voicing, step = self.speech.voicing, self.speech.step_us
        if voicing is None or not len(voicing):
            start, end = max(gaps, key=lambda gap: gap[1] - gap[0])
            return end if len(gaps) == 1 and not self.spoken.spans else (start + end) // 2
        best = []
        for start, end in gaps:
            first = min(start // step, len(voicing) - 1)
            lowest = first + int(np.argmin(voicing[first : max(first + 1, end // step)]))
            best.append((float(voicing[lowest]), max(start, min(lowest * step, end))))
        return min(best)[1]


def divide(span: Span, evidence: _CutEvidence, rules: _Rules) -> list[Span]:
    """Cut a span until no part is too long, unless it is a single word.

    Parts are shorter than the minimum only where both limits cannot hold. Each cut is made at the last end of
    a sentence that fits, or else in the last 40 % of the allowed length: in the longest pause, or else where
    a voice is least likely.
    """
    start, end = span
    parts: list[Span] = []
    while end - start > rules.most_us:
        cut = _cut((start, end), evidence, rules)
        if cut is None:
            break
        stop, resume = cut
        parts.append((start, stop))
        start = resume
    return [*parts, (start, end)]


def _cut(span: Span, evidence: _CutEvidence, rules: _Rules) -> Span | None:
    """Where a part stops and where the next one resumes; None if the rest is a single word."""
    start, end = span
    high = max(start + 1, min(start + rules.most_us, end - rules.least_us))
    ends = evidence.spoken.sentence_ends_us
    last = bisect_right(ends, high) - 1
    if last >= 0 and ends[last] >= start + rules.least_us:
        _, resume = evidence.spoken.gaps((ends[last], end))[0]
        return ends[last], resume if resume < end else ends[last]
    low = min(high, start + max(1, int(rules.most_us * (1 - _LAST_SHARE))))
    for window in ((low, high), (start + rules.least_us, high)):
        if gaps := evidence.spoken.gaps(window):
            quiet = evidence.quietest(gaps)
            return evidence.longest_pause(gaps) or (quiet, quiet)
    # A long word covers the window: what precedes it becomes a part, unless it is too short.
    if (gaps := evidence.spoken.gaps((start + 1, high))) and gaps[-1][1] - start >= _LEAST_PART_US:
        return gaps[-1][1], gaps[-1][1]
    after = evidence.spoken.gaps((high, end))[0][0]
    return (after, after) if after < end else None


def pad(
    segments: Sequence[Segment],
    pad_us: int,
    duration_us: int,
    whole_us: int | None = None,
    words: Sequence[Span] = (),
    faint: "_Faint | None" = None,
) -> list[Segment]:
    """Pad ordered, disjoint segments at both ends, by at most half of the gap to each neighbour.

    Padding stops at the ends of the video, at the length `whole_us`, at the next of the ordered `words`, and
    where the voice has faded out (`faint`).
    """
    if not segments:
        return []
    middles = [(a.end_us + b.start_us) // 2 for a, b in pairwise(segments)]
    starts, ends = [w[0] for w in words], [w[1] for w in words]
    padded = []
    for s, low, high in zip(segments, [0, *middles], [*middles, duration_us], strict=True):
        length = s.end_us - s.start_us
        room = pad_us if whole_us is None else min(pad_us, max(0, whole_us - length) // 2)
        before, after = bisect_right(ends, s.start_us) - 1, bisect_right(starts, s.end_us - 1)
        words_end = ends[before] if before >= 0 else low
        words_start = starts[after] if after < len(starts) else high
        fading_in, fading_out = faint.around(s.start_us, s.end_us, room) if faint else (room, room)
        padded.append(replace(
            s,
            start_us=min(s.start_us, max(s.start_us - fading_in, low, words_end)),
            end_us=max(s.end_us, min(s.end_us + fading_out, high, words_start)),
        ))  # fmt: skip
    return padded


class _Faint:
    """Measures how long a voice fades in before a span of speech, and fades out after it."""

    def __init__(self, speech: Speech) -> None:
        self._audible: NDArray[np.bool_] | None = None
        if speech.voicing is not None and speech.faint > 0:
            self._audible = speech.voicing >= speech.faint
        self._step = speech.step_us

    def around(self, start_us: int, end_us: int, room_us: int) -> tuple[int, int]:
        """Microseconds before the start and after the end, at most `room_us`; `room_us` without voicing."""
        audible, step = self._audible, self._step
        if audible is None or not len(audible):
            return room_us, room_us
        first, last = start_us, end_us
        while first > max(0, start_us - room_us) and audible[min((first - 1) // step, len(audible) - 1)]:
            first = (first - 1) // step * step
        while last < end_us + room_us and last // step < len(audible) and audible[last // step]:
            last = (last // step + 1) * step
        return min(start_us - first, room_us), min(last - end_us, room_us)


def joined_short(speech: Speech, joined: Sequence[Segment], lengths: LengthRules) -> list[Span]:
    """The spans of speech too short for an utterance that are parts of the utterances `joined`, in order."""
    starts = [s.start_us for s in joined]
    parts: list[list[Span]] = [[] for _ in joined]
    for segment in speech.segments:
        at = bisect_right(starts, (segment.start_us + segment.end_us) // 2) - 1
        if at >= 0 and not speech.meant:
            parts[at].append((segment.start_us, segment.end_us))
    most = lengths.min_seconds / 2 * 1e6
    return [(start, end) for spans in parts if len(spans) > 1 for start, end in spans if end - start < most]
