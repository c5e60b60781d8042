"""Cuts all samples of one video in a single decoding pass, exact to the picture and to the sample."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.clip import ClipEncoder, wav
from annotate.media.display_times import DisplayTimes
from annotate.media.files import write_atomic
from annotate.media.glimpses import Watcher
from annotate.media.picture import Upright
from annotate.media.probe import Probe
from annotate.media.sound import (
    SAMPLE_RATE,
    Clock,
    Heard,
    Resampler,
    Timeline,
    piece,
    sample_at,
    start_us,
    tell_nobody,
)
from annotate.media.source import broken, media_packets, media_streams, open_source
from annotate.types import Glimpse, SampleMedia, Segment

if TYPE_CHECKING:
    import av

_LONGEST_SIDE = 1280
"""Larger pictures are made smaller: raters see them in a part of a page."""
_USUAL_RATES = (
    Fraction(24000, 1001),
    *map(Fraction, (24, 25)),
    Fraction(30000, 1001),
    *map(Fraction, (30, 50, 60)),
)
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_SNAP_US = 50_000
_NEVER = np.iinfo(np.int64).max
_NEAR_US = 100_000
"""Pictures this close to a sample are decoded too: clocks of packets and pictures may differ a little."""


@dataclass(frozen=True, slots=True)
class CutSample:
    """What was written for one segment."""

    sha256: Mapping[str, str]
    """By pass (A, V, M)."""
    glimpses: tuple[Glimpse, ...]
    """What was seen in some of its pictures."""


def varies(picture_us: NDArray[np.int64]) -> bool:
    """Whether pictures come at uneven times: more than 2 % of the steps are a fifth off the usual one."""
    if len(picture_us) < 3:
        return False
    steps = np.diff(picture_us)
    usual = np.median(steps)
    return bool((np.abs(steps - usual) > usual / 5).mean() > 0.02)


def frame_rate(probe: Probe, picture_us: NDArray[np.int64]) -> Fraction:
    """Constant pictures per second of the clips: the source's, or its usual one; at most 60."""
    fps = probe.fps
    if varies(picture_us):
        fps = 1e6 / float(np.median(np.diff(picture_us)))
    near = min(_USUAL_RATES, key=lambda rate: abs(float(rate) - fps))
    if abs(float(near) - fps) < 0.005 * fps:
        return near
    return Fraction(min(max(fps, 1.0), 60.0)).limit_denominator(1000)


def snap(segments: Sequence[Segment], heard: Heard) -> list[Segment]:
    """Move both ends of each segment to the nearest picture, if one is within 50 ms.

    Picture and sound of a clip then start at the very same moment, and neighbours stay disjoint.
    """
    grid = np.append(heard.picture_us, heard.end_us)

    def nearest(time: int) -> int:
        after = int(np.searchsorted(grid[1:], time))
        near = min(grid[after : after + 2].tolist(), key=lambda at: abs(at - time))
        return near if abs(near - time) <= _SNAP_US else time

    moved = [replace(s, start_us=nearest(s.start_us), end_us=nearest(s.end_us)) for s in segments]
    return [m if m.end_us > m.start_us else s for m, s in zip(moved, segments, strict=True)]


def cut(
    path: Path,
    probe: Probe,
    heard: Heard,
    samples: Sequence[tuple[SampleMedia, Segment]],
    alive: Callable[[int], None] = tell_nobody,
) -> list[CutSample]:
    """Write clip, wave and silent clip of every sample (ordered, disjoint), each file all or nothing.

    `alive` is called wherever the work gets on, with how far it is, in microseconds.
    Raises `MediaError` with code ``broken`` when no picture can be decoded, ``disk-full`` without room.
    """
    segments = [segment for _, segment in samples]
    try:
        return _cut(path, probe, heard, samples, alive, _Route(heard, segments, heard.entry_us))
    except _LostTheWay:
        return _cut(path, probe, heard, samples, alive, _Route(heard, segments, heard.entry_us[:0]))


def _cut(
    path: Path,
    probe: Probe,
    heard: Heard,
    samples: Sequence[tuple[SampleMedia, Segment]],
    alive: Callable[[int], None],
    route: "_Route",
) -> list[CutSample]:
    fps, size = frame_rate(probe, heard.picture_us), size_of(probe)
    with open_source(path) as container:
        video, audio = media_streams(container)
        timeline = Timeline(container, "mono" if probe.channels == 1 else "stereo")
        rate = probe.audio_rate if probe.audio_rate in _AAC_RATES else 48_000
        jobs = [_Job(m, s, heard, fps, size, (rate, timeline.channels)) for m, s in samples]
        sound = _Sound(timeline, Resampler(timeline.rate, rate, timeline.channels), jobs)
        clock = Clock(video, start_us(container))
        times = DisplayTimes(container, video)
        pictures = _Pictures(jobs, Upright(size, probe.upright), clock, times, route)
        video.codec_context.thread_count = 1
        for packet, is_picture in media_packets(container, video, audio):
            alive(timeline.position * 1_000_000 // timeline.rate)
            (pictures if is_picture else sound).feed(packet)
            # The last one first, for a long video has many.
            if all(job.complete for job in reversed(jobs)):
                break
        sound.end()
        if not pictures.end():
            raise broken(path, "holds no picture that can be decoded")
        return [job.result() for job in jobs]


def size_of(probe: Probe) -> tuple[int, int]:
    """Width and height of the clips: upright, square pixels, even, at most 1280 on the longer side."""
    shrink = min(1.0, _LONGEST_SIDE / max(probe.shown))
    width, height = (max(2, int(side * shrink) // 2 * 2) for side in probe.shown)
    return width, height


class _Job:
    """One sample while its pictures and its sound come in."""

    def __init__(
        self,
        media: SampleMedia,
        segment: Segment,
        heard: Heard,
        fps: Fraction,
        size: tuple[int, int],
        audio: tuple[int, int],
    ) -> None:
        self.media, self.segment, self.heard, self.fps = media, segment, heard, fps
        self.frames = max(1, round(segment.seconds * fps))
        self.shown = 0
        self.first, self.last = (sample_at(t, audio[0]) for t in (segment.start_us, segment.end_us))
        self._sound: list[NDArray[np.float32]] = []
        self._samples = 0
        self._settings = (fps, size, audio)
        self._encoder: ClipEncoder | None = None
        self._watcher = Watcher()
        self._result: CutSample | None = None

    @property
    def next_us(self) -> float:
        """The time whose picture is wanted next."""
        return self.segment.start_us + self.shown * self.fps.denominator * 1_000_000 / self.fps.numerator

    @property
    def complete(self) -> bool:
        return self._result is not None

    def picture(self, frame: "av.VideoFrame") -> None:
        """Take the next picture."""
        if self._encoder is None:
            self._encoder = ClipEncoder(*self._settings)
        self._watcher.see(frame, round(self.next_us))
        self._encoder.picture(frame)
        self.shown += 1
        self._finish_if_whole()

    def hear(self, block: NDArray[np.float32], position: int) -> None:
        """Take what falls into the sample of a block that starts at sample `position`."""
        part = block[:, max(0, self.first - position) : max(0, self.last - position)]
        if part.shape[1]:
            # A copy: a view would keep the sound around it.
            self._sound.append(part.copy())
            self._samples += part.shape[1]
            self._finish_if_whole()

    def _finish_if_whole(self) -> None:
        if self.shown == self.frames and self._samples == self.last - self.first:
            self.result()

    def result(self) -> CutSample:
        """Write the files, once; sound that the source does not have is silence."""
        if self._result is None:
            assert self._encoder is not None
            missing = np.zeros((self._settings[2][1], self.last - self.first - self._samples), np.float32)
            clip, silent = self._encoder.finish(np.concatenate([*self._sound, missing], axis=1))
            samples = piece(self.heard.wave, SAMPLE_RATE, (self.segment.start_us, self.segment.end_us))
            self._result = CutSample(
                {
                    "A": write_atomic(self.media.audio, wav(samples)),
                    "V": write_atomic(self.media.silent, silent),
                    "M": write_atomic(self.media.clip, clip),
                },
                self._watcher.glimpses(),
            )
            # A watcher keeps the last pictures, and a long video has hundreds of samples.
            del self._watcher
            self._encoder = None
            self._sound.clear()
        return self._result


class _Sound:
    """Hands the sound out to the samples."""

    def __init__(self, timeline: Timeline, resampler: Resampler, jobs: Sequence[_Job]) -> None:
        self._timeline, self._resampler, self._jobs = timeline, resampler, list(jobs)
        self._position = 0

    def feed(self, packet: "av.Packet[Any]") -> None:
        for block in self._timeline.decode(packet):
            self._hand_out(self._resampler.feed(block))

    def end(self) -> None:
        for block in self._timeline.rest():
            self._hand_out(self._resampler.feed(block))
        self._hand_out(self._resampler.flush())

    def _hand_out(self, block: NDArray[np.float32]) -> None:
        end = self._position + block.shape[1]
        for job in self._jobs:
            if job.first >= end:
                break
            job.hear(block, self._position)
        while self._jobs and self._jobs[0].last <= end:
            self._jobs.pop(0)
        self._position = end


class _LostTheWay(Exception):
    """Decoding did not begin cleanly at a key picture."""


class _Route:
    """Which pictures have to be decoded: pauses are passed over where the result is the same."""

    def __init__(self, heard: Heard, segments: Sequence[Segment], entry_us: NDArray[np.int64]) -> None:
        """`entry_us`: key pictures at which decoding may begin."""
        shown = heard.picture_us if len(heard.picture_us) else np.zeros(1, np.int64)
        starts, ends = (np.array([getattr(s, end) for s in segments]) for end in ("start_us", "end_us"))
        first = np.maximum(np.searchsorted(shown, starts, "right") - 1, 0)
        last = np.minimum(np.searchsorted(shown, ends), len(shown) - 1)
        self._from = np.minimum(shown[first], starts) - _NEAR_US
        self._to = np.maximum(shown[last], ends) + _NEAR_US
        entries = entry_us.tolist()
        self._next = dict(zip(entries, [*entries[1:], _NEVER], strict=False))

    def needs(self, from_us: int, to_us: int) -> bool:
        """Whether a picture shown in this time may be part of a sample."""
        reached = np.searchsorted(self._from, to_us, "right")
        return bool(reached and self._to[reached - 1] >= from_us)

    def group(self, entry_us: int | None) -> int | None:
        """The key picture after this one; None if this is none at which decoding may begin."""
        return None if entry_us is None else self._next.get(entry_us)


class _Pictures:
    """Hands each sample, for each of its even moments, the picture nearest in time."""

    def __init__(
        self, jobs: Sequence[_Job], upright: Upright, clock: Clock, times: DisplayTimes, route: _Route
    ) -> None:
        self._jobs = list(jobs)
        self._upright, self._clock, self._times, self._route = upright, clock, times, route
        self._held: av.VideoFrame | None = None
        self._held_us = 0.0
        self._passing = False
        self._until_us = _NEVER
        self._entered_us: int | None = None
        """The key picture at which decoding begins again; the next picture has to be that one."""
        self._sparing = False

    def feed(self, packet: "av.Packet[Any]") -> None:
        time = self._clock(packet)
        if packet.is_keyframe and (until := self._route.group(time)) is not None:
            self._until_us = until
            if self._passing and time is not None and self._route.needs(time, until):
                self._passing, self._entered_us = False, time
        if not self._passing and self._over(packet):
            self._drain(packet)
            self._passing = True
        if not self._passing:
            self._spare(packet, time is not None and not self._route.needs(time, time))
            self._decode(packet)

    def _over(self, packet: "av.Packet[Any]") -> bool:
        """Whether no sample needs this picture or any after it, up to the next key picture.

        What follows in the file is shown no sooner than this one is decoded.
        """
        decoded = self._clock.decoding(packet)
        return decoded is not None and not self._route.needs(decoded, self._until_us)

    def _drain(self, packet: "av.Packet[Any]") -> None:
        """Take out what the decoder still holds, and make it forget the rest."""
        from av.error import FFmpegError

        context: Any = packet.stream.codec_context
        try:
            for frame in context.decode(None):
                frame.time_base = packet.time_base
                self._see(frame)
        except FFmpegError:
            pass
        context.flush_buffers()
        self._times.restart()

    def _spare(self, packet: "av.Packet[Any]", spare: bool) -> None:
        """Far from any sample, pictures that no other is made from are not decoded."""
        if self._times.stored and spare is not self._sparing:
            context: Any = packet.stream.codec_context
            context.skip_frame = "NONREF" if spare else "DEFAULT"
            self._sparing = spare

    def _decode(self, packet: "av.Packet[Any]") -> None:
        from av.error import FFmpegError

        self._times.enter(packet)
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            self._see(frame)

    def _see(self, frame: "av.VideoFrame") -> None:
        from av.video.frame import PictureType

        time = self._times(frame)
        if time is None:
            return
        time_us = time * 1e6 - self._clock.zero_us
        if self._entered_us is not None:
            if abs(time_us - self._entered_us) > 1_000 or frame.pict_type != PictureType.I:
                raise _LostTheWay
            self._entered_us = None
        self._take(frame, time_us)

    def _take(self, frame: "av.VideoFrame", time_us: float) -> None:
        if self._held is not None:
            self._show((self._held_us + time_us) / 2)
        self._held, self._held_us = frame, time_us

    def end(self) -> bool:
        """Hold the last picture until all samples are full; False if there never was one."""
        if self._held is not None:
            self._show(float("inf"))
        return self._held is not None

    def _show(self, until_us: float) -> None:
        """Give out the held picture for all wanted moments before `until_us`."""
        ready = None
        while self._jobs and self._jobs[0].next_us < until_us:
            job = self._jobs[0]
            ready = ready or self._upright(self._held)  # type: ignore[arg-type]
            job.picture(ready)
            if job.shown == job.frames:
                self._jobs.pop(0)
