"""Tells when decoded pictures are shown, also where a file does not say so itself."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream


class DisplayTimes:
    """Times of the pictures of a stream, in the order in which its decoder gives them out.

    AVI keeps no times of display: those that FFmpeg makes up are wrong for pictures that are decoded in
    another order than they are shown in (B-frames). There the decoder gives out one picture for each that it
    takes in, some pictures late: each is shown at the time of decoding that it came out at, less that delay.
    A picture without any time follows its predecessor.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.stored = container.format.name != "avi"
        """Whether the times of packets are those at which their pictures are shown."""
        self._base = stream.time_base or Fraction(1, 1_000_000)
        rate = stream.average_rate or Fraction(25)
        self._step = max(1, round(1 / rate / self._base))
        self._last: int | None = None
        self._entered: int | None = None
        self._delay: int | None = None

    def enter(self, packet: "av.Packet[Any]") -> None:
        """Note the next packet that is decoded: the first after a restart tells the decoder's delay."""
        if self._entered is None:
            self._entered = packet.dts

    def restart(self) -> None:
        """The decoder was emptied."""
        self._entered = self._delay = None

    def __call__(self, frame: "av.VideoFrame") -> float | None:
        """Seconds on the clock of the container; None before the first time that the file gives."""
        units = frame.pts if self.stored else self._decoded(frame.dts)
        if units is None and self._last is not None:
            units = self._last + self._step
        if units is None:
            return None
        self._last = units
        return float(units * self._base)

    def _decoded(self, dts: int | None) -> int | None:
        if dts is None or self._entered is None:
            return dts
        if self._delay is None:
            self._delay = dts - self._entered
        return dts - self._delay
