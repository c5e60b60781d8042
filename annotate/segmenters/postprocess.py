"""Turns what a segmenter found into utterances of a usable length: the same rules for every segmenter."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annotate.segmenters._runs import runs_of
from annotate.segmenters.words import Span, TimedWords, pieces, with_words
from annotate.types import Cue, LengthRules, Segment, Speech, Transcript

_VOICED = 0.35
"""Where voicing is lower, there is a pause."""
_REACH_US = 500_000
"""How far a stretch that is too short to stand alone may be from the neighbour that it is joined to."""
_LEAST_PART_US = 100_000
"""Nothing shorter is cut off."""
_LAST_SHARE = 0.4
"""A cut is looked for in this last share of what fits, so that parts are not needlessly short."""


def utterances(
    speech: Speech, transcript: Transcript | None, lengths: LengthRules, duration_us: int
) -> list[Segment]:
    """Ordered, disjoint utterances within the video, padded; no end lies inside a word whose times are known.

    Raw stretches are divided where the speaker changes, joined over short gaps, and divided at their best
    pauses when too long. Those that are too short to stand alone are joined to the nearest neighbour in
    reach; one that has none stays an utterance, however short, so that nothing that was heard is lost. What
    somebody meant is only divided, where its words have times and it is too long. Utterances without a text
    of their own get the words said in them.
    """
    spoken = TimedWords(tuple(pieces(transcript.cues if transcript else ())))
    rules = _Rules.of(lengths)
    if speech.meant:
        found = [part for s in speech.segments for part in _meant(s, speech, spoken, rules)]
    else:
        spans, ground = _stretches(speech, turns(transcript, spoken), spoken, rules), _Ground(speech, spoken)
        parts = [p for span in spans for p in divide(span, ground, rules)]
        # Frames may reach beyond the end by a part of one.
        inside = [(start, min(end, duration_us)) for start, end in parts]
        found = [with_words(Segment(*p), spoken.among(p)) for p in inside if p[0] < p[1]]
    return pad(found, rules.pad_us, duration_us, rules.whole_us, spoken.spans, faint=_Faint(speech))


@dataclass(frozen=True, slots=True)
class _Rules:
    """`LengthRules` in microseconds, with room left for the padding."""

    alone_us: int
    """A shorter stretch is too short to stand alone."""
    least_us: int
    most_us: int
    whole_us: int
    """Of an utterance with its padding."""
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
    """A cue, whole or in parts that take their words along; a window or scene with the words said in it."""
    if not segment.text and not segment.words:
        span = _outside_words((segment.start_us, segment.end_us), spoken)
        return (
            [with_words(replace(segment, start_us=span[0], end_us=span[1]), spoken.among(span))]
            if span
            else []
        )
    if segment.end_us - segment.start_us <= rules.whole_us or not segment.words:
        return [segment]
    own = TimedWords(tuple(pieces([_cue(segment)])))
    parts = divide((segment.start_us, segment.end_us), _Ground(speech, own), rules)
    # The first and the last part also hold the words that their source puts outside of the cue.
    edges = [0, *(start for start, _ in parts[1:]), 1 << 62]
    held = [own.among(span) for span in pairwise(edges)]
    return [
        with_words(Segment(*part, speaker=segment.speaker), words)
        for part, words in zip(parts, held, strict=True)
        if words
    ]


def _cue(segment: Segment) -> Cue:
    return Cue(
        segment.start_us, segment.end_us, segment.text, segment.raw, segment.speaker, segment.words
    )  # fmt: skip


def _outside_words(span: Span, spoken: TimedWords) -> Span | None:
    """Both ends moved to the start of the word they lie in, so that neighbours still meet."""
    start, end = (word[0] if (word := spoken.covering(at)) else at for at in span)
    return (start, end) if start < end else None


def _stretches(speech: Speech, divides: Sequence[int], spoken: TimedWords, rules: _Rules) -> list[Span]:
    """Raw stretches with whole words, of one speaker each, joined over short gaps."""
    raw = [(s.start_us, s.end_us) for s in speech.segments]
    whole = join(sorted([*raw, *(w for span in raw for w in spoken.touched(span))]), lambda a, b: b <= a)
    single = [part for span in whole for part in split_at(span, divides)]

    def one_turn(end: int, start: int) -> bool:
        return bisect_right(divides, start) == bisect_right(divides, end - 1)

    def near(end: int, start: int) -> bool:
        return start - end < rules.bridge_us and one_turn(end, start)

    return _join_short(join(single, near), one_turn, rules)


def _join_short(spans: Sequence[Span], one_turn: Callable[[int, int], bool], rules: _Rules) -> list[Span]:
    """Join each span that is too short to stand alone to its nearer neighbour, if one is in reach.

    `one_turn` says of the end of one span and the start of the next whether one speaker has both.
    """
    joined, at = list(spans), 0

    def gap(left: int) -> int | None:
        """Between a span and the next, if they can be joined."""
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
    """Join ordered spans where `belong` says so of the end of one and the start of the next."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and belong(joined[-1][1], start):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def split_at(span: Span, times: Sequence[int]) -> list[Span]:
    """A span divided at those of the ordered `times` that lie inside it."""
    inside = times[bisect_right(times, span[0]) : bisect_right(times, span[1] - 1)]
    return list(pairwise([span[0], *inside, span[1]]))


def turns(transcript: Transcript | None, spoken: TimedWords) -> list[int]:
    """When another speaker takes over: in the middle of the pause, and never inside a word."""
    cues = sorted(transcript.cues if transcript else (), key=lambda c: c.start_us)
    found = set()
    for before, after in pairwise(c for c in cues if c.speaker):
        if before.speaker != after.speaker:
            middle = (max(before.start_us, min(before.end_us, after.start_us)) + after.start_us) // 2
            word = spoken.covering(middle)
            found.add(min(word, key=lambda edge: abs(edge - middle)) if word else middle)
    return sorted(found)


@dataclass(frozen=True)
class _Ground:
    """What tells where a stretch may be cut."""

    speech: Speech
    spoken: TimedWords

    @cached_property
    def pauses(self) -> list[Span]:
        """Where no voice is heard, ordered; empty where nobody listened."""
        if self.speech.voicing is None:
            return []
        step = self.speech.step_us
        return [(a * step, b * step) for a, b in runs_of(self.speech.voicing < _VOICED)]

    @cached_property
    def _pause_ends(self) -> list[int]:
        return [end for _, end in self.pauses]

    def longest_pause(self, gaps: Sequence[Span]) -> Span | None:
        """The longest stretch without voice in any of `gaps`, the first of equals."""
        ends = self._pause_ends
        found = []
        for start, end in gaps:
            for number in range(bisect_right(ends, start), len(ends)):
                if self.pauses[number][0] >= end:
                    break
                found.append((max(start, self.pauses[number][0]), min(end, ends[number])))
        return max(found, key=lambda pause: pause[1] - pause[0], default=None)

    def quietest(self, gaps: Sequence[Span]) -> int:
        """The moment in `gaps` at which a voice is least likely.

        Where nobody listened, the middle of the longest between words, or the end where there are no words.
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


def divide(span: Span, ground: _Ground, rules: _Rules) -> list[Span]:
    """Cut a span until no part is too long; longer only where a single word is, shorter than the least only
    where both cannot be.

    Each cut is made at the last end of a sentence that fits, else in the last 40 % of what fits: in the
    longest pause, else where a voice is least likely.
    """
    start, end = span
    parts: list[Span] = []
    while end - start > rules.most_us:
        found = _cut((start, end), ground, rules)
        if found is None:
            break
        parts.append((start, found[0]))
        start = found[1]
    return [*parts, (start, end)]


def _cut(span: Span, ground: _Ground, rules: _Rules) -> Span | None:
    """Where to stop and where to resume; None if the rest is a single word."""
    start, end = span
    high = max(start + 1, min(start + rules.most_us, end - rules.least_us))
    ends = ground.spoken.sentence_ends_us
    last = bisect_right(ends, high) - 1
    if last >= 0 and ends[last] >= start + rules.least_us:
        _, resume = ground.spoken.gaps((ends[last], end))[0]
        return ends[last], resume if resume < end else ends[last]
    low = min(high, start + max(1, int(rules.most_us * (1 - _LAST_SHARE))))
    for window in ((low, high), (start + rules.least_us, high)):
        if gaps := ground.spoken.gaps(window):
            quiet = ground.quietest(gaps)
            return ground.longest_pause(gaps) or (quiet, quiet)
    # A long word reaches over all of it: what comes before it is a part of its own, unless it is nothing.
    if (gaps := ground.spoken.gaps((start + 1, high))) and gaps[-1][1] - start >= _LEAST_PART_US:
        return gaps[-1][1], gaps[-1][1]
    after = ground.spoken.gaps((high, end))[0][0]
    return (after, after) if after < end else None


def pad(
    segments: Sequence[Segment],
    pad_us: int,
    duration_us: int,
    whole_us: int | None = None,
    words: Sequence[Span] = (),
    faint: "_Faint | None" = None,
) -> list[Segment]:
    """Widen ordered, disjoint segments at both ends, by at most half of the gap to each neighbour.

    What lies beyond the video's ends is not added, nor what would make an utterance longer than `whole_us`,
    nor any part of one of the ordered `words` outside of it, nor that in which nothing of a voice is left.
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
        said_until = ends[before] if before >= 0 else low
        said_from = starts[after] if after < len(starts) else high
        fading_in, fading_out = faint.around(s.start_us, s.end_us, room) if faint else (room, room)
        padded.append(replace(
            s,
            start_us=min(s.start_us, max(s.start_us - fading_in, low, said_until)),
            end_us=max(s.end_us, min(s.end_us + fading_out, high, said_from)),
        ))  # fmt: skip
    return padded


class _Faint:
    """Tells for how long a voice is faintly heard before and after a stretch of speech."""

    def __init__(self, speech: Speech) -> None:
        self._heard: NDArray[np.bool_] | None = None
        if speech.voicing is not None and speech.faint > 0:
            self._heard = speech.voicing >= speech.faint
        self._step = speech.step_us

    def around(self, start_us: int, end_us: int, room_us: int) -> tuple[int, int]:
        """Microseconds before the start and after the end, `room_us` at most; all where nobody listened."""
        heard, step = self._heard, self._step
        if heard is None or not len(heard):
            return room_us, room_us
        first, last = start_us, end_us
        while first > max(0, start_us - room_us) and heard[min((first - 1) // step, len(heard) - 1)]:
            first = (first - 1) // step * step
        while last < end_us + room_us and last // step < len(heard) and heard[last // step]:
            last = (last // step + 1) * step
        return min(start_us - first, room_us), min(last - end_us, room_us)


def joined_short(speech: Speech, found: Sequence[Segment], lengths: LengthRules) -> list[Span]:
    """The stretches too short to stand alone that became a part of an utterance of `found`, in order."""
    starts = [s.start_us for s in found]
    taken: list[list[Span]] = [[] for _ in found]
    for stretch in speech.segments:
        at = bisect_right(starts, (stretch.start_us + stretch.end_us) // 2) - 1
        if at >= 0 and not speech.meant:
            taken[at].append((stretch.start_us, stretch.end_us))
    most = lengths.min_seconds / 2 * 1e6
    return [(start, end) for spans in taken if len(spans) > 1 for start, end in spans if end - start < most]
