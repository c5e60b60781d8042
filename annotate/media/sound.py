"""Decodes the sound of a video onto its time axis, and notes when its pictures are shown."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import MediaError
from annotate.media.source import open_source

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

SAMPLE_RATE = 16_000
"""Of the wave that segmenters, feature extractors and the audio pass get."""

_SLACK_SECONDS = 0.02
"""Time stamps may be this wrong before sound is moved: containers round them."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The whole sound of a video, and its picture times."""

    wave: NDArray[np.float32]
    """16 kHz mono in [-1, 1]; its first sample is heard when the video starts."""
    picture_us: NDArray[np.int64]
    """Sorted times at which a picture is first shown, from the video's start."""
    end_us: int
    """When the later of picture and sound ends."""


def start_us(container: "InputContainer") -> int:
    """The container's own time that counts as 0: what players show as the start."""
    return container.start_time or 0


def tell_nobody() -> None:
    """Stands for `alive` where nobody waits."""


def listen(path: Path, alive: Callable[[], None] = tell_nobody) -> Heard:
    """Read all packets once: decode the sound, note the pictures' times. `alive` is called meanwhile.

    Raises `MediaError` as `open_source` does, and with code ``truncated`` when the file ends well before it
    says it does.
    """
    with open_source(path) as container:
        zero = start_us(container)
        timeline = Timeline(container, "mono")
        resampler = Resampler(timeline.rate, SAMPLE_RATE, 1)
        # Both grow in place: a list of blocks would be copied into one wave at the end.
        wave, times, end = array("f"), array("q"), 0
        for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
            alive()
            if packet.stream.type == "audio":
                for block in timeline.decode(packet):
                    wave.frombytes(resampler.feed(block)[0].tobytes())
            elif packet.pts is not None and packet.time_base is not None:
                time = round(packet.pts * packet.time_base * 1_000_000) - zero
                end = max(end, time + round((packet.duration or 0) * packet.time_base * 1_000_000))
                if time >= 0:
                    times.append(time)
        wave.frombytes(resampler.flush()[0].tobytes())
        end = max(end, len(wave) * 1_000_000 // SAMPLE_RATE)
        announced = container.duration or 0
        if announced - end > max(1_000_000, announced // 10):
            raise MediaError(
                f"{path} is cut off: {end / 1e6:.1f} s of {announced / 1e6:.1f} s are there",
                code="truncated",
                hint="copy the file again",
            )
        return Heard(np.frombuffer(wave, np.float32), np.unique(np.frombuffer(times, np.int64)), end)


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
    """Samples of a stretch of time along the last axis; silence where the sound ends earlier."""
    first, last = (sample_at(t, rate) for t in span_us)
    part = wave[..., first:last]
    missing = last - first - part.shape[-1]
    return np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, missing)])


def sample_at(time_us: int, rate: int) -> int:
    """The sample that is heard at a time."""
    return (time_us * rate + 500_000) // 1_000_000


class Timeline:
    """Sound without gaps or overlaps: silence fills holes, what comes twice is left out."""

    def __init__(self, container: "InputContainer", layout: str) -> None:
        stream = container.streams.audio[0]
        self.rate = stream.codec_context.sample_rate
        self.layout = layout
        self.channels = 1 if layout == "mono" else 2
        self.position = 0
        """Samples handed out so far, from the video's start."""
        self._zero = start_us(container) / 1e6
        self._format: tuple[str, str, int] | None = None

    def decode(self, packet: "av.Packet[Any]") -> "list[NDArray[np.float32]]":
        """(channels, samples) blocks that follow each other; a damaged packet gives none."""
        from av.error import FFmpegError

        try:
            frames = packet.decode()
        except FFmpegError:
            return []
        return [self._place(frame) for frame in frames]  # type: ignore[arg-type]

    def _place(self, frame: "av.AudioFrame") -> NDArray[np.float32]:
        block = self._convert(frame)
        gap = 0
        if frame.time is not None:
            gap = round((frame.time - self._zero) * self.rate) - self.position
        if self.position and abs(gap) <= _SLACK_SECONDS * self.rate:
            gap = 0
        if gap > 0:
            block = np.pad(block, [(0, 0), (gap, 0)])
        block = block[:, max(0, -gap) :]
        self.position += block.shape[1]
        return block

    def _convert(self, frame: "av.AudioFrame") -> NDArray[np.float32]:
        """To planar floats; the format may change in the middle of a broadcast."""
        import av

        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._format:
            self._format = shape
            self._resampler = av.AudioResampler("fltp", self.layout, self.rate)
        # The time has been read already; the converter would only stumble over one that jumps.
        time, frame.pts = frame.pts, None
        parts = [part.to_ndarray() for part in self._resampler.resample(frame)]
        frame.pts = time
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *parts], axis=1)


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
