"""Cuts all samples of one video in a single decoding pass, accurate to the frame and the audio sample."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.audio import (
    SAMPLE_RATE,
    Clock,
    DecodedAudio,
    Resampler,
    Timeline,
    no_heartbeat,
    piece,
    sample_at,
    start_us,
)
from annotate.media.clip import ClipEncoder, wav
from annotate.media.display_times import DisplayTimes
from annotate.media.files import write_atomic
from annotate.media.frame_sampling import FrameSampler
from annotate.media.frames import Upright
from annotate.media.probe import Probe
from annotate.media.source import broken, media_packets, media_streams, open_source
from annotate.types import FrameSample, SampleMedia, Segment

if TYPE_CHECKING:
    import av

_LONGEST_SIDE = 1280
"""Larger frames are scaled down, because raters see them in a part of a page."""
_USUAL_RATES = (
    Fraction(24000, 1001),
    *map(Fraction, (24, 25)),
    Fraction(30000, 1001),
    *map(Fraction, (30, 50, 60)),
)
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_SNAP_US = 50_000
_NEVER = np.iinfo(np.int64).max
_MARGIN_US = 100_000
"""Frames this close to a sample are decoded too, because times of packets and frames may differ a little."""


@dataclass(frozen=True, slots=True)
class CutSample:
    """The files written for one segment, and what was measured in its frames."""

    sha256: Mapping[str, str]
    """Hash of the file of each pass (A, V, M)."""
    frame_samples: tuple[FrameSample, ...]
    """Measurements of some of its frames."""


def varies(frame_us: NDArray[np.int64]) -> bool:
    """Whether the frame rate is variable: more than 2 % of the steps differ from the median by a fifth."""
    if len(frame_us) < 3:
        return False
    steps = np.diff(frame_us)
    usual = np.median(steps)
    return bool((np.abs(steps - usual) > usual / 5).mean() > 0.02)


def frame_rate(probe: Probe, frame_us: NDArray[np.int64]) -> Fraction:
    """The constant frame rate of the clips: that of the source, or the usual rate next to it; at most 60."""
    fps = probe.fps
    if varies(frame_us):
        fps = 1e6 / float(np.median(np.diff(frame_us)))
    near = min(_USUAL_RATES, key=lambda rate: abs(float(rate) - fps))
    if abs(float(near) - fps) < 0.005 * fps:
        return near
    return Fraction(min(max(fps, 1.0), 60.0)).limit_denominator(1000)


def snap(segments: Sequence[Segment], decoded: DecodedAudio) -> list[Segment]:
    """Move both ends of each segment to the nearest frame, if there is one within 50 ms.

    Video and audio of a clip then start at the same moment, and adjacent segments stay disjoint.
    """
    grid = np.append(decoded.frame_us, decoded.end_us)

    def nearest(time: int) -> int:
        after = int(np.searchsorted(grid[1:], time))
        near = min(grid[after : after + 2].tolist(), key=lambda at: abs(at - time))
        return near if abs(near - time) <= _SNAP_US else time

    moved = [replace(s, start_us=nearest(s.start_us), end_us=nearest(s.end_us)) for s in segments]
    return [m if m.end_us > m.start_us else s for m, s in zip(moved, segments, strict=True)]


def cut(
    path: Path,
    probe: Probe,
    decoded: DecodedAudio,
    samples: Sequence[tuple[SampleMedia, Segment]],
    heartbeat: Callable[[int], None] = no_heartbeat,
) -> list[CutSample]:
    """Write clip, waveform and silent clip of every sample (ordered, disjoint), each file atomically.

    `heartbeat` is called with the position in microseconds as the work proceeds. Raises `MediaError` with
    code ``broken`` when no frame can be decoded, and ``disk-full`` when the disk is full.
    """
    segments = [segment for _, segment in samples]
    try:
        return _cut(
            path, probe, decoded, samples, heartbeat, _DecodingPlan(decoded, segments, decoded.entry_us)
        )
    except _SeekFailed:
        return _cut(
            path, probe, decoded, samples, heartbeat, _DecodingPlan(decoded, segments, decoded.entry_us[:0])
        )


def _cut(
    path: Path,
    probe: Probe,
    decoded: DecodedAudio,
    samples: Sequence[tuple[SampleMedia, Segment]],
    heartbeat: Callable[[int], None],
    plan: "_DecodingPlan",
) -> list[CutSample]:
    fps, size = frame_rate(probe, decoded.frame_us), size_of(probe)
    with open_source(path) as container:
        video, audio = media_streams(container)
        timeline = Timeline(container, "mono" if probe.channels == 1 else "stereo")
        rate = probe.audio_rate if probe.audio_rate in _AAC_RATES else 48_000
        jobs = [_Job(m, s, decoded, fps, size, (rate, timeline.channels)) for m, s in samples]
        audio_track = _AudioTrack(timeline, Resampler(timeline.rate, rate, timeline.channels), jobs)
        clock = Clock(video, start_us(container))
        times = DisplayTimes(container, video)
        video_track = _VideoTrack(jobs, Upright(size, probe.upright), clock, times, plan)
        video.codec_context.thread_count = 1
        for packet, is_video in media_packets(container, video, audio):
            heartbeat(timeline.position * 1_000_000 // timeline.rate)
            (video_track if is_video else audio_track).feed(packet)
            # From the end, because a long video has many finished ones at the start.
            if all(job.complete for job in reversed(jobs)):
                break
        audio_track.end()
        if not video_track.end():
            raise broken(path, "holds no picture that can be decoded")
        return [job.result() for job in jobs]


def size_of(probe: Probe) -> tuple[int, int]:
    """Width and height of the clips in square pixels: upright, even, at most 1280 on the longer side."""
    shrink = min(1.0, _LONGEST_SIDE / max(probe.shown))
    width, height = (max(2, int(side * shrink) // 2 * 2) for side in probe.shown)
    return width, height


class _Job:
    """One sample while its frames and its audio arrive."""

    def __init__(
        self,
        media: SampleMedia,
        segment: Segment,
        decoded: DecodedAudio,
        fps: Fraction,
        size: tuple[int, int],
        audio: tuple[int, int],
    ) -> None:
        self.media, self.segment, self.decoded, self.fps = media, segment, decoded, fps
        self.frames = max(1, round(segment.seconds * fps))
        self.shown = 0
        self.first, self.last = (sample_at(t, audio[0]) for t in (segment.start_us, segment.end_us))
        self._blocks: list[NDArray[np.float32]] = []
        self._samples = 0
        self._settings = (fps, size, audio)
        self._encoder: ClipEncoder | None = None
        self._frame_sampler = FrameSampler()
        self._result: CutSample | None = None

    @property
    def next_us(self) -> float:
        """The time of the next frame of the clip, in microseconds of the video."""
        return self.segment.start_us + self.shown * self.fps.denominator * 1_000_000 / self.fps.numerator

    @property
    def complete(self) -> bool:
        return self._result is not None

    def add_frame(self, frame: "av.VideoFrame") -> None:
        """Take the next frame."""
        if self._encoder is None:
            self._encoder = ClipEncoder(*self._settings)
        self._frame_sampler.add(frame, round(self.next_us))
        self._encoder.add_frame(frame)
        self.shown += 1
        self._finish_if_whole()

    def add_audio(self, block: NDArray[np.float32], position: int) -> None:
        """Take the part of a block that lies in the clip; `position` is the block's first audio sample."""
        part = block[:, max(0, self.first - position) : max(0, self.last - position)]
        if part.shape[1]:
            # A copy, because a view would keep the whole block.
            self._blocks.append(part.copy())
            self._samples += part.shape[1]
            self._finish_if_whole()

    def _finish_if_whole(self) -> None:
        if self.shown == self.frames and self._samples == self.last - self.first:
            self.result()

    def result(self) -> CutSample:
        """Write the files, once; audio that the source lacks is silence."""
        if self._result is None:
            assert self._encoder is not None
            missing = np.zeros((self._settings[2][1], self.last - self.first - self._samples), np.float32)
            clip, silent = self._encoder.finish(np.concatenate([*self._blocks, missing], axis=1))
            samples = piece(self.decoded.wave, SAMPLE_RATE, (self.segment.start_us, self.segment.end_us))
            self._result = CutSample(
                {
                    "A": write_atomic(self.media.audio, wav(samples)),
                    "V": write_atomic(self.media.silent, silent),
                    "M": write_atomic(self.media.clip, clip),
                },
                self._frame_sampler.frame_samples(),
            )
            # The sampler keeps the last frames, and a long video has hundreds of samples.
            del self._frame_sampler
            self._encoder = None
            self._blocks.clear()
        return self._result


class _AudioTrack:
    """Distributes the audio to the samples."""

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
            job.add_audio(block, self._position)
        while self._jobs and self._jobs[0].last <= end:
            self._jobs.pop(0)
        self._position = end


class _SeekFailed(Exception):
    """Decoding did not start cleanly at a keyframe."""


class _DecodingPlan:
    """Which frames have to be decoded: those between samples are skipped where the result is the same."""

    def __init__(
        self, decoded: DecodedAudio, segments: Sequence[Segment], entry_us: NDArray[np.int64]
    ) -> None:
        """`entry_us` are the times of the keyframes at which decoding may start."""
        shown = decoded.frame_us if len(decoded.frame_us) else np.zeros(1, np.int64)
        starts, ends = (np.array([getattr(s, end) for s in segments]) for end in ("start_us", "end_us"))
        first = np.maximum(np.searchsorted(shown, starts, "right") - 1, 0)
        last = np.minimum(np.searchsorted(shown, ends), len(shown) - 1)
        self._from = np.minimum(shown[first], starts) - _MARGIN_US
        self._to = np.maximum(shown[last], ends) + _MARGIN_US
        entries = entry_us.tolist()
        self._next = dict(zip(entries, [*entries[1:], _NEVER], strict=False))

    def needs(self, from_us: int, to_us: int) -> bool:
        """Whether a frame shown in this interval may be part of a sample."""
        reached = np.searchsorted(self._from, to_us, "right")
        return bool(reached and self._to[reached - 1] >= from_us)

    def group_end(self, entry_us: int | None) -> int | None:
        """The next keyframe after this one; None if decoding cannot start at this one."""
        return None if entry_us is None else self._next.get(entry_us)


class _VideoTrack:
    """Gives each sample, for each frame of its constant rate, the source frame nearest in time."""

    def __init__(
        self, jobs: Sequence[_Job], upright: Upright, clock: Clock, times: DisplayTimes, plan: _DecodingPlan
    ) -> None:
        self._jobs = list(jobs)
        self._upright, self._clock, self._times, self._plan = upright, clock, times, plan
        self._frame: av.VideoFrame | None = None
        self._frame_us = 0.0
        self._skipping = False
        self._until_us = _NEVER
        self._entered_us: int | None = None
        """The keyframe at which decoding resumes; the next decoded frame has to be this one."""
        self._reference_only = False

    def feed(self, packet: "av.Packet[Any]") -> None:
        """Decode the packet if a sample needs its frame, or a later one before the next keyframe."""
        from av.error import FFmpegError

        time = self._clock(packet)
        if packet.is_keyframe and (until := self._plan.group_end(time)) is not None:
            self._until_us = until
            if self._skipping and time is not None and self._plan.needs(time, until):
                self._skipping, self._entered_us = False, time
        if self._skipping:
            return
        # Later packets are shown no earlier than this one is decoded, so no sample needs any frame up to the
        # next keyframe if none is shown between the two times.
        decoding_us = self._clock.decoding(packet)
        if decoding_us is not None and not self._plan.needs(decoding_us, self._until_us):
            self._drain(packet)
            self._skipping = True
            return
        # Far from any sample, only the frames that others refer to are decoded.
        far = time is not None and not self._plan.needs(time, time)
        if self._times.stored and far is not self._reference_only:
            context: Any = packet.stream.codec_context
            context.skip_frame = "NONREF" if far else "DEFAULT"
            self._reference_only = far
        self._times.enter(packet)
        try:
            frames = packet.decode()
        except FFmpegError:
            return
        for frame in frames:
            self._add(frame)

    def _drain(self, packet: "av.Packet[Any]") -> None:
        """Use the frames that the decoder still buffers, then reset it."""
        from av.error import FFmpegError

        context: Any = packet.stream.codec_context
        try:
            for frame in context.decode(None):
                frame.time_base = packet.time_base
                self._add(frame)
        except FFmpegError:
            pass
        context.flush_buffers()
        self._times.restart()

    def _add(self, frame: "av.VideoFrame") -> None:
        from av.video.frame import PictureType

        time = self._times(frame)
        if time is None:
            return
        time_us = time * 1e6 - self._clock.zero_us
        if self._entered_us is not None:
            if abs(time_us - self._entered_us) > 1_000 or frame.pict_type != PictureType.I:
                raise _SeekFailed
            self._entered_us = None
        if self._frame is not None:
            self._show((self._frame_us + time_us) / 2)
        self._frame, self._frame_us = frame, time_us

    def end(self) -> bool:
        """Repeat the last frame until all samples are complete; False if no frame was decoded."""
        if self._frame is not None:
            self._show(float("inf"))
        return self._frame is not None

    def _show(self, until_us: float) -> None:
        """Give the current frame to all samples for their times before `until_us`."""
        upright = None
        while self._jobs and self._jobs[0].next_us < until_us:
            job = self._jobs[0]
            upright = upright or self._upright(self._frame)  # type: ignore[arg-type]
            job.add_frame(upright)
            if job.shown == job.frames:
                self._jobs.pop(0)
