"""Encodes one sample: the clip with video and audio, the silent clip, and the waveform."""

import io
import wave as riff
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.audio import SAMPLE_RATE

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer

_MUXER = {"movflags": "faststart", "fflags": "+bitexact"}
"""The index comes first, so that browsers can seek; no date and no machine name get into the file."""


class ClipEncoder:
    """Encodes H.264 and AAC into mp4, in memory: only the final writing has to handle a full disk."""

    def __init__(self, fps: Fraction, size: tuple[int, int], audio: tuple[int, int]) -> None:
        """`size` is (width, height) in pixels, `audio` is (samples per second, channels)."""
        self._file = MemoryFile()
        self._container = self._file.open()
        self._step = 1 / fps
        self._frames = 0
        self._packets: list[av.Packet[Any]] = []
        self._rate, channels = audio
        self._layout = "mono" if channels == 1 else "stereo"
        # One thread, so that the bytes do not depend on the number of processors, which workers share anyway.
        # Nor may they depend on the kind of processor: x264's AVX-512 code reads uninitialised memory, so the
        # same frames gave different bytes from call to call (seen under MALLOC_PERTURB_).
        reproducible = "cpu-independent=1"
        options = {"preset": "veryfast", "crf": "23", "threads": "1", "x264-params": reproducible}
        self._video = self._container.add_stream("libx264", rate=fps, options=options)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        # At this bit rate the fast coder is closer to the source than the default, at a third of the cost.
        self._audio = self._container.add_stream(
            "aac", rate=self._rate, layout=self._layout, options={"aac_coder": "fast"}
        )
        self._audio.bit_rate = 96_000 * channels

    def add_frame(self, frame: "av.VideoFrame") -> None:
        """Append a yuv420p frame of the given size."""
        import av

        if not self._frames:
            # Without colour tags a browser guesses them from the size of the frame.
            context = self._video.codec_context
            context.colorspace, context.color_range = frame.colorspace, frame.color_range
            context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
        frame.pts, frame.time_base = self._frames, self._step
        frame.pict_type = av.video.frame.PictureType.NONE
        self._packets += self._video.encode(frame)
        self._frames += 1

    def finish(self, sound: NDArray[np.float32]) -> tuple[bytes, bytes]:
        """Add the (channels, samples) audio; return the finished file, and the same file without audio."""
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, 0, Fraction(1, self._rate)
        self._packets += self._video.encode(None)
        # Only now the stream has the extradata that its packets need to be decoded.
        self._container.start_encoding()
        silent = MemoryFile()
        with silent.open() as container:
            stream = container.add_stream_from_template(self._video)
            for packet in self._packets:
                packet.stream = stream
                container.mux(packet)
                packet.stream = self._video
        self._packets += [*self._audio.encode(frame), *self._audio.encode(None)]
        for packet in sorted(self._packets, key=lambda p: float((p.dts or 0) * (p.time_base or 0))):
            self._container.mux(packet)
        self._container.close()
        self._packets.clear()
        return self._file.take(), silent.take()


def wav(samples: NDArray[np.float32]) -> bytes:
    """The bytes of a 16-bit PCM wave file with these 16 kHz mono samples in [-1, 1]."""
    buffer = io.BytesIO()
    with riff.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


class MemoryFile:
    """A file in memory that the muxer can open a second time to move the index to the front."""

    name = "clip.mp4"

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self.write = self._buffer.write
        self.seek = self._buffer.seek
        self.tell = self._buffer.tell

    def open(self, **options: str) -> "OutputContainer":
        """Open the output container; `options` go to the mp4 muxer."""
        import av

        return av.open(
            self,
            "w",
            format="mp4",
            options=_MUXER | options,
            io_open=lambda *_: io.BytesIO(self._buffer.getvalue()),
        )

    def take(self) -> bytes:
        """Return the file and free it: a reference cycle keeps the container, but must not keep the bytes."""
        content = self._buffer.getvalue()
        self._buffer.close()
        return content
