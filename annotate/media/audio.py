"""Decodes the sound of a video onto its time axis, and notes when its pictures are shown."""

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
"""Of the wave that segmenters, feature extractors and the audio pass get."""

_LOUDEST = 16.0
"""Times full scale; sound beyond, or that is no number, is damage and becomes silence."""
_CANCELLED = 0.01
"""Share of the power of the louder channel below which the mean of two channels is a sound that was lost."""
_SLACK_SECONDS = 0.02
"""Time stamps may be this wrong before sound is moved: containers round them."""


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """The whole sound of a video, and its picture times."""

    wave: NDArray[np.float32]
    """16 kHz mono in [-1, 1]; its first sample is heard when the video starts."""
    frame_us: NDArray[np.int64]
    """Sorted times at which a picture is first shown, from the video's start."""
    end_us: int
    """When the later of picture and sound ends."""
    entry_us: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Sorted times of the key pictures at which decoding can begin: what comes later is shown later."""


def start_us(container: "InputContainer") -> int:
    """The container's own time that counts as 0: what players show as the start."""
    return container.start_time or 0


def no_heartbeat(done_us: int = 0) -> None:
    """Stands for `heartbeat` where nobody waits."""


class Clock:
    """Tells when the packets of a stream are shown or heard, in microseconds from the video's start."""

    def __init__(self, stream: "Stream", zero_us: int) -> None:
        base = stream.time_base or Fraction(1, 1_000_000)
        self._up, self._down, self.zero_us = base.numerator * 1_000_000, base.denominator, zero_us

    def __call__(self, packet: "av.Packet[Any]") -> int | None:
        """None when the file does not say."""
        return self._us(packet.pts)

    def decoding(self, packet: "av.Packet[Any]") -> int | None:
        """When it is decoded: no later than it is shown."""
        return self._us(packet.dts)

    def _us(self, units: int | None) -> int | None:
        return None if units is None else round(units * self._up / self._down) - self.zero_us

    def length(self, packet: "av.Packet[Any]") -> int:
        """How long its picture lasts; 0 when the file does not say."""
        return round((packet.duration or 0) * self._up / self._down)


def decode_audio(path: Path, heartbeat: Callable[[int], None] = no_heartbeat) -> DecodedAudio:
    """Read all packets once: decode the sound, note the pictures' times.

    `heartbeat` is called meanwhile, with how far it is, in microseconds.

    Raises `MediaError` as `open_source` does, and with code ``truncated`` when the file ends well before it
    says it does.
    """
    with open_source(path) as container:
        video, audio = media_streams(container)
        timeline = Timeline(container, "mono")
        resampler = Resampler(timeline.rate, SAMPLE_RATE, 1)
        # It grows in place: a list of blocks would be copied into one wave at the end.
        wave, pictures = array("f"), _Pictures(Clock(video, start_us(container)))
        for packet, is_picture in media_packets(container, video, audio):
            heartbeat(timeline.position * 1_000_000 // timeline.rate)
            if is_picture:
                pictures.note(packet)
                continue
            for block in timeline.decode(packet):
                wave.frombytes(resampler.feed(block)[0].tobytes())
        for block in timeline.rest():
            wave.frombytes(resampler.feed(block)[0].tobytes())
        wave.frombytes(resampler.flush()[0].tobytes())
        end = max(pictures.end_us, len(wave) * 1_000_000 // SAMPLE_RATE)
        _check_end(path, container.duration or 0, end)
        return DecodedAudio(np.frombuffer(wave, np.float32), pictures.times(), end, pictures.entries())


def _check_end(path: Path, announced_us: int, end_us: int) -> None:
    if announced_us - end_us > max(1_000_000, announced_us // 10):
        raise MediaError(
            f"{path} is cut off: {end_us / 1e6:.1f} s of {announced_us / 1e6:.1f} s are there",
            code="truncated",
            hint="copy the file again",
        )


class _Pictures:
    """Notes when pictures are shown, in the order in which the file holds them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown, self._keys = array("q"), array("b")
        self._whole = True
        self.end_us = 0

    def note(self, packet: "av.Packet[Any]") -> None:
        time = self._clock(packet)
        if time is None:
            # The empty packet at the end has no time either.
            self._whole = self._whole and not packet.size
            return
        if self._shown and time - self.end_us > MAX_HOLE_SECONDS * 1_000_000:
            raise TimeJump((time - self.end_us) / 1e6)
        self._shown.append(time)
        self._keys.append(packet.is_keyframe)
        self.end_us = max(self.end_us, time + self._clock.length(packet))

    def times(self) -> NDArray[np.int64]:
        shown = np.frombuffer(self._shown, np.int64)
        return np.unique(shown[shown >= 0])

    def entries(self) -> NDArray[np.int64]:
        """None if any picture has no time: nobody could tell on which side of a key picture it is shown."""
        shown, keys = np.frombuffer(self._shown, np.int64), np.frombuffer(self._keys, np.int8)
        if not self._whole or not len(shown):
            return np.zeros(0, np.int64)
        before = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], shown[:-1]]))
        after = np.minimum.accumulate(shown[::-1])[::-1]
        return shown[(keys == 1) & (before < shown) & (after >= shown)]


def loudness(wave: NDArray[np.float32]) -> float:
    """Root mean square in dB below full scale, at least -120."""
    power = float(np.square(wave, dtype=np.float64).mean()) if len(wave) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def loudest(wave: NDArray[np.float32]) -> float:
    """Loudness of the loudest tenth of a second, in dB below full scale."""
    window = SAMPLE_RATE // 10
    whole = wave[: len(wave) // window * window].reshape(-1, window)
    return max(loudness(part) for part in whole) if len(whole) else loudness(wave)


def piece(wave: NDArray[np.float32], rate: int, span_us: tuple[int, int]) -> NDArray[np.float32]:
    """Samples of a stretch of time along the last axis, a view; silence where the sound ends earlier."""
    first, last = (sample_at(t, rate) for t in span_us)
    part = wave[..., first:last]
    missing = last - first - part.shape[-1]
    return np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)]) if missing else part


def sample_at(time_us: int, rate: int) -> int:
    """The sample that is heard at a time."""
    return (time_us * rate + 500_000) // 1_000_000


class Timeline:
    """Sound without gaps or overlaps: silence fills holes, what comes twice is left out."""

    def __init__(self, container: "InputContainer", layout: str) -> None:
        _, stream = media_streams(container)
        self.rate = stream.codec_context.sample_rate
        self.layout = layout
        self.channels = 1 if layout == "mono" else 2
        self.position = 0
        """Samples placed so far, from the video's start."""
        self._zero = start_us(container) / 1e6
        self._format: tuple[str, str, int] | None = None
        # Frames are short; what is done per block is cheaper on a few long ones.
        self._waiting: list[NDArray[np.float32]] = []
        self._waits = 0
        self._ready: list[NDArray[np.float32]] = []

    def decode(self, packet: "av.Packet[Any]") -> "list[NDArray[np.float32]]":
        """(channels, samples) blocks, mostly one of half a second, or none yet; they follow each other.

        A damaged packet adds nothing. Raises `TimeJump` where the clock leaps.
        """
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            return []
        for frame in frames:
            self._place(frame)  # type: ignore[arg-type]
        if self._waits >= self.rate // 2:
            self._ready += self.rest()
        ready, self._ready = self._ready, []
        return ready

    def rest(self) -> "list[NDArray[np.float32]]":
        """What was decoded and not yet given out."""
        blocks, self._waiting, self._waits = self._waiting, [], 0
        return [_bounded(np.concatenate(blocks, axis=1))] if blocks else []

    def _place(self, frame: "av.AudioFrame") -> None:
        block = self._convert(frame)
        gap = 0
        if frame.time is not None:
            gap = round((frame.time - self._zero) * self.rate) - self.position
        if self.position and abs(gap) <= _SLACK_SECONDS * self.rate:
            gap = 0
        if gap > MAX_HOLE_SECONDS * self.rate:
            raise TimeJump(gap / self.rate)
        if gap > 0:
            self._be_silent(gap)
        self._keep(block[:, max(0, -gap) :])

    def _be_silent(self, samples: int) -> None:
        """Second by second, each the same zero: a hole of minutes needs no memory."""
        seconds, rest = divmod(samples, self.rate)
        if seconds:
            silence = np.broadcast_to(np.float32(0), (self.channels, self.rate))
            self._ready += [*self.rest(), *[silence] * seconds]
            self.position += seconds * self.rate
        self._keep(np.zeros((self.channels, rest), np.float32))

    def _keep(self, block: NDArray[np.float32]) -> None:
        self._waiting.append(block)
        self._waits += block.shape[1]
        self.position += block.shape[1]

    def _convert(self, frame: "av.AudioFrame") -> NDArray[np.float32]:
        """To planar floats; the format may change in the middle of a broadcast.

        Of several channels one is made as the mean of the two that a clip has: their sum, which the resampler
        would give, is louder than full scale where both are loud. Where two channels of opposite phase (a
        cable wired the wrong way round) cancel each other, the first one is taken.
        """
        layout = self.layout if frame.layout.name == "mono" else "stereo"
        planes = self._planar(frame, layout)
        if len(planes) > self.channels:
            left, right = planes
            mean = np.float32(0.5) * (left + right)
            power = max(float(np.dot(left, left)), float(np.dot(right, right)))
            return (left if float(np.dot(mean, mean)) < _CANCELLED * power else mean)[None]
        return planes[0][None] if len(planes) == 1 else np.stack(planes)

    def _planar(self, frame: "av.AudioFrame", layout: str) -> list[NDArray[np.float32]]:
        """(samples,) of each channel."""
        import av

        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape == ("fltp", layout, self.rate):
            return _planes(frame)
        if shape != self._format:
            self._format = shape
            self._resampler = av.AudioResampler("fltp", layout, self.rate)
        # The time has been read already; the converter would only stumble over one that jumps.
        time, frame.pts = frame.pts, None
        parts = [_planes(part) for part in self._resampler.resample(frame)]
        frame.pts = time
        none = [np.zeros(0, np.float32)] * (1 if layout == "mono" else 2)
        return [np.concatenate(plane) for plane in zip(none, *parts, strict=True)]


def _bounded(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same, with silence for what no recording holds; what hears voices would hear none ever after."""
    if not block.size or np.abs(block).max() <= _LOUDEST:
        return block
    return np.where(np.abs(block) <= _LOUDEST, block, np.float32(0))


def _planes(frame: "av.AudioFrame") -> list[NDArray[np.float32]]:
    """(samples,) of each channel of a frame of planar floats."""
    return [np.frombuffer(plane, np.float32)[: frame.samples] for plane in frame.planes]  # type: ignore[call-overload]


class Resampler:
    """(channels, samples) blocks from one rate to another, as one stream."""

    def __init__(self, rate: int, target: int, channels: int) -> None:
        import soxr

        self.channels = channels
        same = rate == target
        self._stream = None if same else soxr.ResampleStream(rate, target, channels, dtype="float32")

    def feed(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """What can be given out so far."""
        if self._stream is None:
            return block
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return np.ascontiguousarray(np.reshape(out, (-1, self.channels)).T)

    def flush(self) -> NDArray[np.float32]:
        """The rest."""
        return self.feed(np.zeros((self.channels, 0), np.float32), last=True)
