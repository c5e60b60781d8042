"""Cuts all samples of one video in a single decoding pass, exact to the picture and to the sample."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.clip import ClipEncoder, wav, without_sound
from annotate.media.files import write_atomic
from annotate.media.glimpses import Watcher
from annotate.media.picture import Upright
from annotate.media.probe import Probe
from annotate.media.sound import (
    SAMPLE_RATE,
    Heard,
    Resampler,
    Timeline,
    piece,
    sample_at,
    start_us,
    tell_nobody,
)
from annotate.media.source import broken, open_source
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
        near = int(grid[np.argmin(np.abs(grid - time))])
        return near if abs(near - time) <= _SNAP_US else time

    moved = [replace(s, start_us=nearest(s.start_us), end_us=nearest(s.end_us)) for s in segments]
    return [m if m.end_us > m.start_us else s for m, s in zip(moved, segments, strict=True)]


def cut(
    path: Path,
    probe: Probe,
    heard: Heard,
    samples: Sequence[tuple[SampleMedia, Segment]],
    alive: Callable[[], None] = tell_nobody,
) -> list[CutSample]:
    """Write clip, wave and silent clip of every sample (ordered, disjoint), each file all or nothing.

    `alive` is called wherever the work gets on.
    Raises `MediaError` with code ``broken`` when no picture can be decoded, ``disk-full`` without room.
    """
    fps, size = frame_rate(probe, heard.picture_us), size_of(probe)
    with open_source(path) as container:
        timeline = Timeline(container, "mono" if probe.channels == 1 else "stereo")
        rate = probe.audio_rate if probe.audio_rate in _AAC_RATES else 48_000
        jobs = [_Job(m, s, heard, fps, size, (rate, timeline.channels)) for m, s in samples]
        sound = _Sound(timeline, Resampler(timeline.rate, rate, timeline.channels), jobs)
        pictures = _Pictures(jobs, Upright(size, probe.rotation), start_us(container))
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
            alive()
            (sound if packet.stream.type == "audio" else pictures).feed(packet)
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
        self.sound: NDArray[np.float32] = np.zeros((audio[1], 0), np.float32)
        self._settings = (fps, size, audio)
        self._encoder: ClipEncoder | None = None
        self._watcher = Watcher()
        self._result: CutSample | None = None

    @property
    def next_us(self) -> float:
        """The time whose picture is wanted next."""
        return self.segment.start_us + float(self.shown * 1_000_000 / self.fps)

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
            self.sound = np.concatenate([self.sound, part], axis=1)
            self._finish_if_whole()

    def _finish_if_whole(self) -> None:
        if self.shown == self.frames and self.sound.shape[1] == self.last - self.first:
            self.result()

    def result(self) -> CutSample:
        """Write the files, once; sound that the source does not have is silence."""
        if self._result is None:
            assert self._encoder is not None
            missing = self.last - self.first - self.sound.shape[1]
            clip = self._encoder.finish(np.pad(self.sound, [(0, 0), (0, missing)]))
            samples = piece(self.heard.wave, SAMPLE_RATE, (self.segment.start_us, self.segment.end_us))
            self._result = CutSample(
                {
                    "A": write_atomic(self.media.audio, wav(samples)),
                    "V": write_atomic(self.media.silent, without_sound(clip)),
                    "M": write_atomic(self.media.clip, clip),
                },
                self._watcher.glimpses(),
            )
            # A copy: an empty view would keep the whole sound.
            self._encoder, self.sound = None, self.sound[:, :0].copy()
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


class _Pictures:
    """Hands each sample, for each of its even moments, the picture nearest in time."""

    def __init__(self, jobs: Sequence[_Job], upright: Upright, zero_us: int) -> None:
        self._jobs = list(jobs)
        self._upright, self._zero = upright, zero_us
        self._held: av.VideoFrame | None = None
        self._held_us = 0.0

    def feed(self, packet: "av.Packet[Any]") -> None:
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            if frame.time is not None:
                self._take(frame, frame.time * 1e6 - self._zero)

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
