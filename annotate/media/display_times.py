"""Computes the presentation times of decoded frames, even if the file does not store them."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream


class DisplayTimes:
    """Presentation times of the frames of a stream, in the order in which its decoder returns them.

    AVI stores no presentation times, and those that FFmpeg makes up are wrong for B-frames, which are decoded
    in another order than they are shown. For AVI the decoder returns one frame per packet with a constant
    delay, so a frame is shown at the decoding time at which it was returned, less that delay. A frame without
    any timestamp follows its predecessor.
    """

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.stored = container.format.name != "avi"
        """Whether the timestamps of packets are presentation times."""
        self._base = stream.time_base or Fraction(1, 1_000_000)
        rate = stream.average_rate or Fraction(25)
        self._step = max(1, round(1 / rate / self._base))
        self._last: int | None = None
        self._entered: int | None = None
        self._delay: int | None = None

    def enter(self, packet: "av.Packet[Any]") -> None:
        """Register the next packet to decode; the first after a restart determines the decoder's delay."""
        if self._entered is None:
            self._entered = packet.dts

    def restart(self) -> None:
        """Forget the delay, after the decoder was flushed."""
        self._entered = self._delay = None

    def __call__(self, frame: "av.VideoFrame") -> float | None:
        """Seconds in the time of the container; None before the first timestamp of the file."""
        units = frame.pts if self.stored else frame.dts
        if not self.stored and units is not None and self._entered is not None:
            if self._delay is None:
                self._delay = units - self._entered
            units -= self._delay
        if units is None and self._last is not None:
            units = self._last + self._step
        if units is None:
            return None
        self._last = units
        return float(units * self._base)
