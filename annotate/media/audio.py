"""Decodes the audio of a video onto the time axis of the video, and collects the times of its frames."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import MediaError
from annotate.media.source import (
    MAX_HOLE_SECONDS,
    TimeJump,
    media_packets,
    media_streams,
    open_source,
)

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream

SAMPLE_RATE = 16_000
"""Samples per second of the waveform for segmenters, feature extractors and the audio pass."""

_MAX_AMPLITUDE = 16.0
"""In units of full scale. Larger values and NaN are damage and become silence."""
_CANCELLED = 0.01
"""If the mean of two channels has less than this share of the louder one's power, they cancel each other."""
_SLACK_SECONDS = 0.02
"""Timestamps may be off by this much before audio is moved, because containers round them."""


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """The whole audio of a video, and the times of its frames in microseconds from the start of the video."""

    wave: NDArray[np.float32]
    """(samples,) 16 kHz mono in [-1, 1]; the first sample is at the start of the video."""
    frame_us: NDArray[np.int64]
    """(frames,) sorted times at which frames are first shown."""
    end_us: int
    """The end of the video or of the audio, whichever is later."""
    entry_us: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Sorted times of the keyframes at which decoding can start: all later packets are shown later."""


def start_us(container: "InputContainer") -> int:
    """The container time, in microseconds, that players show as the start."""
    return container.start_time or 0


def no_heartbeat(done_us: int = 0) -> None:
    """The `heartbeat` for callers that do not need one."""


class Clock:
    """Converts packet timestamps of a stream to microseconds from the start of the video."""

    def __init__(self, stream: "Stream", zero_us: int) -> None:
        base = stream.time_base or Fraction(1, 1_000_000)
        self._up, self._down, self.zero_us = base.numerator * 1_000_000, base.denominator, zero_us

    def __call__(self, packet: "av.Packet[Any]") -> int | None:
        """The presentation time; None if the file does not store it."""
        return self._us(packet.pts)

    def decoding(self, packet: "av.Packet[Any]") -> int | None:
        """The decoding time, never after the presentation time; None if the file does not store it."""
        return self._us(packet.dts)

    def _us(self, units: int | None) -> int | None:
        return None if units is None else round(units * self._up / self._down) - self.zero_us

    def length(self, packet: "av.Packet[Any]") -> int:
        """The duration in microseconds; 0 if the file does not store it."""
        return round((packet.duration or 0) * self._up / self._down)


def decode_audio(path: Path, heartbeat: Callable[[int], None] = no_heartbeat) -> DecodedAudio:
    """Read all packets once: decode the audio and collect the times of the frames.

    `heartbeat` is called with the position in microseconds as the work proceeds. Raises `MediaError` as
    `open_source` does, and with code ``truncated`` when the file ends well before its announced duration.
    """
    with open_source(path) as container:
        video, audio = media_streams(container)
        timeline = Timeline(container, "mono")
        resampler = Resampler(timeline.rate, SAMPLE_RATE, 1)
        # An array grows in place; a list of blocks would have to be copied into one wave at the end.
        wave, frame_times = array("f"), _FrameTimes(Clock(video, start_us(container)))
        for packet, is_video in media_packets(container, video, audio):
            heartbeat(timeline.position * 1_000_000 // timeline.rate)
            if is_video:
                frame_times.add(packet)
                continue
            for block in timeline.decode(packet):
                wave.frombytes(resampler.feed(block)[0].tobytes())
        for block in timeline.rest():
            wave.frombytes(resampler.feed(block)[0].tobytes())
        wave.frombytes(resampler.flush()[0].tobytes())
        end = max(frame_times.end_us, len(wave) * 1_000_000 // SAMPLE_RATE)
        announced_us = container.duration or 0
        if announced_us - end > max(1_000_000, announced_us // 10):
            raise MediaError(
                f"{path} is cut off: {end / 1e6:.1f} s of {announced_us / 1e6:.1f} s are there",
                code="truncated",
                hint="copy the file again",
            )
        return DecodedAudio(
            np.frombuffer(wave, np.float32), frame_times.shown_us(), end, frame_times.entry_us()
        )


class _FrameTimes:
    """Collects the presentation times of frames in file order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown, self._keys = array("q"), array("b")
        self._complete = True
        self.end_us = 0

    def add(self, packet: "av.Packet[Any]") -> None:
        time = self._clock(packet)
        if time is None:
            # The empty packet at the end has no timestamp either.
            self._complete = self._complete and not packet.size
            return
        if self._shown and time - self.end_us > MAX_HOLE_SECONDS * 1_000_000:
            raise TimeJump((time - self.end_us) / 1e6)
        self._shown.append(time)
        self._keys.append(packet.is_keyframe)
        self.end_us = max(self.end_us, time + self._clock.length(packet))

    def shown_us(self) -> NDArray[np.int64]:
        shown = np.frombuffer(self._shown, np.int64)
        return np.unique(shown[shown >= 0])

    def entry_us(self) -> NDArray[np.int64]:
        """Keyframes that no frame crosses; empty if any frame lacks a time, because it might cross one."""
        shown, keys = np.frombuffer(self._shown, np.int64), np.frombuffer(self._keys, np.int8)
        if not self._complete or not len(shown):
            return np.zeros(0, np.int64)
        before = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], shown[:-1]]))
        after = np.minimum.accumulate(shown[::-1])[::-1]
        return shown[(keys == 1) & (before < shown) & (after >= shown)]


def loudness(wave: NDArray[np.float32]) -> float:
    """Root mean square level in dBFS (dB relative to full scale), at least -120."""
    power = float(np.square(wave, dtype=np.float64).mean()) if len(wave) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def loudest(wave: NDArray[np.float32]) -> float:
    """Level of the loudest tenth of a second, in dBFS."""
    window = SAMPLE_RATE // 10
    whole = wave[: len(wave) // window * window].reshape(-1, window)
    return max(loudness(part) for part in whole) if len(whole) else loudness(wave)


def piece(wave: NDArray[np.float32], rate: int, span_us: tuple[int, int]) -> NDArray[np.float32]:
    """The samples of a time span along the last axis, as a view; padded with silence beyond the end."""
    first, last = (sample_at(t, rate) for t in span_us)
    part = wave[..., first:last]
    missing = last - first - part.shape[-1]
    return np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)]) if missing else part


def sample_at(time_us: int, rate: int) -> int:
    """The index of the sample at a time in microseconds."""
    return (time_us * rate + 500_000) // 1_000_000


class Timeline:
    """Audio without gaps or overlaps: gaps become silence, and overlapping audio is dropped."""

    def __init__(self, container: "InputContainer", layout: str) -> None:
        _, stream = media_streams(container)
        self.rate = stream.codec_context.sample_rate
        self.layout = layout
        self.channels = 1 if layout == "mono" else 2
        self.position = 0
        """Number of samples so far, counted from the start of the video."""
        self._zero = start_us(container) / 1e6
        self._format: tuple[str, str, int] | None = None
        # Frames are short; work per block is cheaper on a few long blocks.
        self._waiting: list[NDArray[np.float32]] = []
        self._waiting_samples = 0
        self._ready: list[NDArray[np.float32]] = []

    def decode(self, packet: "av.Packet[Any]") -> "list[NDArray[np.float32]]":
        """Consecutive (channels, samples) blocks: mostly none yet, or one of half a second.

        A damaged packet adds nothing. Raises `TimeJump` where timestamps jump.
        """
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            return []
        for frame in frames:
            block = self._convert(frame)  # type: ignore[arg-type]
            gap = 0
            if frame.time is not None:
                gap = round((frame.time - self._zero) * self.rate) - self.position
            if self.position and abs(gap) <= _SLACK_SECONDS * self.rate:
                gap = 0
            if gap > MAX_HOLE_SECONDS * self.rate:
                raise TimeJump(gap / self.rate)
            if gap > 0:
                # Views of one zero, a second each, so that gaps of minutes need no memory.
                seconds, remainder = divmod(gap, self.rate)
                if seconds:
                    silence = np.broadcast_to(np.float32(0), (self.channels, self.rate))
                    self._ready += [*self.rest(), *[silence] * seconds]
                    self.position += seconds * self.rate
                self._append(np.zeros((self.channels, remainder), np.float32))
            self._append(block[:, max(0, -gap) :])
        if self._waiting_samples >= self.rate // 2:
            self._ready += self.rest()
        ready, self._ready = self._ready, []
        return ready

    def rest(self) -> "list[NDArray[np.float32]]":
        """The decoded audio that was not returned yet."""
        blocks, self._waiting, self._waiting_samples = self._waiting, [], 0
        if not blocks:
            return []
        block = np.concatenate(blocks, axis=1)
        possible = np.abs(block) <= _MAX_AMPLITUDE  # false for NaN too
        if not possible.all():
            # Impossible values would upset voice activity detection for the rest of the audio.
            block = np.where(possible, block, np.float32(0))
        return [block]

    def _append(self, block: NDArray[np.float32]) -> None:
        self._waiting.append(block)
        self._waiting_samples += block.shape[1]
        self.position += block.shape[1]

    def _convert(self, frame: "av.AudioFrame") -> NDArray[np.float32]:
        """Convert to (channels, samples) floats; the format may change in the middle of a broadcast.

        Mono is the mean of left and right: their sum, which the resampler would return, exceeds full scale
        where both are loud. Where two channels of opposite phase (a wrongly wired cable) cancel each other,
        the left one is used.
        """
        import av

        layout = self.layout if frame.layout.name == "mono" else "stereo"
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape == ("fltp", layout, self.rate):
            planes = _planes(frame)
        else:
            if shape != self._format:
                self._format = shape
                self._resampler = av.AudioResampler("fltp", layout, self.rate)
            # The time has been read already, and the resampler fails on timestamps that jump.
            time, frame.pts = frame.pts, None
            parts = [_planes(part) for part in self._resampler.resample(frame)]
            frame.pts = time
            none = [np.zeros(0, np.float32)] * (1 if layout == "mono" else 2)
            planes = [np.concatenate(plane) for plane in zip(none, *parts, strict=True)]
        if len(planes) > self.channels:
            left, right = planes
            mean = np.float32(0.5) * (left + right)
            power = max(float(np.dot(left, left)), float(np.dot(right, right)))
            return (left if float(np.dot(mean, mean)) < _CANCELLED * power else mean)[None]
        return planes[0][None] if len(planes) == 1 else np.stack(planes)


def _planes(frame: "av.AudioFrame") -> list[NDArray[np.float32]]:
    """One (samples,) array per channel of a frame of planar floats."""
    return [np.frombuffer(plane, np.float32)[: frame.samples] for plane in frame.planes]  # type: ignore[call-overload]


class Resampler:
    """Resamples consecutive (channels, samples) blocks as one stream."""

    def __init__(self, rate: int, target: int, channels: int) -> None:
        import soxr

        self.channels = channels
        same = rate == target
        self._stream = None if same else soxr.ResampleStream(rate, target, channels, dtype="float32")

    def feed(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """The resampled audio that is available so far."""
        if self._stream is None:
            return block
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return np.ascontiguousarray(np.reshape(out, (-1, self.channels)).T)

    def flush(self) -> NDArray[np.float32]:
        """The remaining audio."""
        return self.feed(np.zeros((self.channels, 0), np.float32), last=True)
