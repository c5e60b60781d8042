"""Cuts samples of one video by copying its packets, decoding no picture but key pictures for the checks.

A clip begins with the key picture before its sample. What lies before the first or after the last picture of
the sample is hidden by an edit list (ISO/IEC 14496-12, 8.6.6), which players have to honour.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annotate.media.clip import MemoryFile, wav
from annotate.media.cut import CutSample, size_of, varies
from annotate.media.files import write_atomic
from annotate.media.glimpses import Watcher
from annotate.media.picture import Upright
from annotate.media.probe import Probe
from annotate.media.sound import SAMPLE_RATE, Clock, Heard, piece, start_us, tell_nobody
from annotate.media.source import media_packets, media_streams, open_source
from annotate.orientation import TURNS
from annotate.types import SampleMedia, Segment

if TYPE_CHECKING:
    import av
    from av.stream import Stream

_LONGEST_HIDDEN_US = 20_000_000
_TICKS = 1_000_000
"""Per second, in which edit lists say how long a clip is."""
_APART_US = 2_000_000
_WARM_UP_US = 60_000
"""Sound before a sample that its decoder needs to start: two AAC frames at 44.1 kHz."""


def cannot_copy(probe: Probe, heard: Heard) -> str:
    """Why copied packets of this video would not play in a browser, or not in time; empty if all is well."""
    entries = np.append(heard.entry_us, heard.end_us)
    rare = len(entries) < 2 or np.diff(entries, prepend=0).max() > _LONGEST_HIDDEN_US
    playable = probe.video_codec == "h264" and probe.pixel_format in ("yuv420p", "yuvj420p")
    reasons = (
        ("mp4" not in probe.container, "its container does not say when each picture is decoded"),
        (not playable, f"browsers may not play {probe.video_codec} ({probe.pixel_format})"),
        (probe.upright not in TURNS, "browsers may not show it mirrored, or turned by this angle"),
        (probe.audio_codec not in ("aac", "mp3"), f"{probe.audio_codec} sound does not belong into mp4"),
        (varies(heard.picture_us), "its pictures come at uneven times"),
        (rare, "key pictures are too rare"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def copy(
    path: Path,
    probe: Probe,
    heard: Heard,
    samples: Sequence[tuple[SampleMedia, Segment]],
    alive: Callable[[int], None] = tell_nobody,
) -> list[CutSample]:
    """As `annotate.media.cut.cut`, for a video about which `cannot_copy` says nothing.

    Pictures keep their size. Glimpses are of key pictures: those of the sample, else the one before it.
    """
    with open_source(path) as container:
        video, audio = media_streams(container)
        zero = start_us(container)
        jobs = [_Job(m, s, heard, (video, audio), zero) for m, s in samples]
        video.codec_context.thread_count = 1
        looking = _Looking(jobs, Upright(size_of(probe), probe.upright))
        clock, waiting, active = Clock(video, zero), iter(jobs), list[_Job]()
        ahead = next(waiting, None)
        for packet, is_picture in media_packets(container, video, audio):
            if packet.dts is None:
                continue
            time = _time_us(packet, zero)
            alive(round(time))
            # In the file sound may lie a little before the pictures of its time, or after.
            while ahead and time >= ahead.entry_us - _APART_US:
                active.append(ahead)
                ahead = next(waiting, None)
            for job in active:
                job.take(packet, is_picture)
            if is_picture and packet.is_keyframe and (shown := clock(packet)) is not None:
                looking.at(packet, shown)
            for job in [job for job in active if job.over]:
                job.result()
                active.remove(job)
        return [job.result() for job in jobs]


def _time_us(packet: "av.Packet[Any]", zero_us: int) -> float:
    base = packet.time_base or Fraction(1)
    return (packet.dts or 0) * base.numerator * 1e6 / base.denominator - zero_us


class _Copy:
    """The packets of one stream that a clip needs, and its own clock."""

    def __init__(self, stream: "Stream", from_us: int, to_us: int, zero_us: int) -> None:
        self.stream = stream
        base = stream.time_base or Fraction(1)
        self._from, self._to = (round((t + zero_us) / 1_000_000 / base) for t in (from_us, to_us))
        self._near = round(Fraction(1, 1000) / base)
        self._packets: list[tuple[av.Packet[Any], int, int]] = []
        self.over = False

    def take(self, packet: "av.Packet[Any]") -> None:
        """Keep a packet, unless it and all that follow are decoded after the clip's end."""
        assert packet.dts is not None
        self.over = self.over or packet.dts >= self._to
        if not self.over:
            shown = packet.dts if packet.pts is None else packet.pts
            self._packets.append((packet, shown, packet.dts))

    def moved(self) -> "Iterator[tuple[float, av.Packet[Any]]]":
        """Seconds and packets of the clip, whose first shown picture or sample has the time 0."""
        zero = min([shown for _, shown, _ in self._packets] or [0], key=lambda t: abs(t - self._from))
        if abs(zero - self._from) > self._near:
            zero = self._from
        base = self.stream.time_base or Fraction(1)
        for packet, shown, decoded in self._packets:
            # They were moved before, for the other file.
            packet.time_base, packet.pts, packet.dts = base, shown - zero, decoded - zero
            yield packet.dts * base.numerator / base.denominator, packet


class _Job:
    """One sample while its packets come in."""

    def __init__(
        self,
        media: SampleMedia,
        segment: Segment,
        heard: Heard,
        streams: "tuple[av.VideoStream, av.AudioStream]",
        zero_us: int,
    ) -> None:
        self.media, self.segment, self._heard = media, segment, heard
        entries = heard.entry_us
        start, end = segment.start_us, segment.end_us
        self.entry_us = int(entries[max(0, int(np.searchsorted(entries, start, "right")) - 1)])
        inside = entries[(entries >= start) & (entries < end)].tolist()
        self.looks = frozenset[int](inside or [self.entry_us])
        self.watcher = Watcher()
        self._video, self._audio = (_Copy(s, start, end, zero_us) for s in streams)
        self._clocks = (Clock(streams[0], zero_us), Clock(streams[1], zero_us))
        self._entered = False
        self._result: CutSample | None = None

    @property
    def over(self) -> bool:
        return self._video.over and self._audio.over

    def take(self, packet: "av.Packet[Any]", is_picture: bool) -> None:
        """Keep the packet if the clip needs it."""
        time = self._clocks[0 if is_picture else 1](packet)
        if is_picture:
            self._entered = self._entered or (packet.is_keyframe and time == self.entry_us)
            if self._entered:
                self._video.take(packet)
        elif time is not None and time >= self.segment.start_us - _WARM_UP_US:
            self._audio.take(packet)

    def result(self) -> CutSample:
        """Write the files, once."""
        if self._result is None:
            length = self.segment.end_us - self.segment.start_us
            span = (self.segment.start_us, self.segment.end_us)
            self._result = CutSample(
                {
                    "A": write_atomic(self.media.audio, wav(piece(self._heard.wave, SAMPLE_RATE, span))),
                    "V": write_atomic(self.media.silent, _file([self._video], length)),
                    "M": write_atomic(self.media.clip, _file([self._video, self._audio], length)),
                },
                self.watcher.glimpses(),
            )
            # A watcher keeps the last pictures, and a long video has hundreds of samples.
            del self._video, self._audio, self.watcher
        return self._result


class _Looking:
    """Shows key pictures, and no others, to the watchers of the samples that are waiting for them."""

    def __init__(self, jobs: Sequence[_Job], upright: Upright) -> None:
        self._upright = upright
        self._jobs: dict[int, list[_Job]] = {}
        for job in jobs:
            for time in job.looks:
                self._jobs.setdefault(time, []).append(job)

    def at(self, packet: "av.Packet[Any]", time_us: int) -> None:
        """Decode a key picture if somebody waits for it."""
        from av.error import FFmpegError

        jobs = self._jobs.pop(time_us, [])
        if not jobs:
            return
        context: Any = packet.stream.codec_context
        try:
            frames = [*context.decode(packet), *context.decode(None)]
        except FFmpegError:
            frames = []
        context.flush_buffers()
        for frame in frames[:1]:
            frame.time_base = packet.time_base
            picture = self._upright(frame)
            for job in jobs:
                job.watcher.see(picture, time_us)


def _file(copies: "Iterable[_Copy]", length_us: int) -> bytes:
    """The packets as an mp4 file that shows `length_us` from the time 0."""
    file, moved = MemoryFile(), list[tuple[float, Any, Any]]()
    with file.open(movie_timescale=str(_TICKS)) as container:
        for copied in copies:
            stream = container.add_stream_from_template(copied.stream)
            moved += [(time, packet, stream) for time, packet in copied.moved()]
        for _, packet, stream in sorted(moved, key=lambda m: m[0]):
            source, packet.stream = packet.stream, stream
            container.mux(packet)
            packet.stream = source
    return _shown_for(file.taken(), length_us)


def _shown_for(content: bytes, length_us: int) -> bytes:
    """Have all edit lists of a movie end after this time, and the movie with them."""
    made = bytearray(content)
    for kind, at in _boxes(made, 0, len(made)):
        if kind in (b"mvhd", b"tkhd"):
            wide = made[at] == 1
            place = {b"mvhd": (16, 24), b"tkhd": (20, 28)}[kind][wide]
            struct.pack_into(">Q" if wide else ">I", made, at + place, length_us)
        elif kind == b"elst":
            _end_edits(made, at, length_us)
    return bytes(made)


def _end_edits(made: bytearray, at: int, length_us: int) -> None:
    """The last of the edits lasts as long as the others leave it."""
    layout = struct.Struct(">Qqi" if made[at] == 1 else ">Iii")
    (count,) = struct.unpack_from(">I", made, at + 4)
    places = [at + 8 + n * layout.size for n in range(count)]
    edits = [layout.unpack_from(made, place) for place in places]
    left = length_us - sum(edit[0] for edit in edits[:-1])
    layout.pack_into(made, places[-1], max(0, left), *edits[-1][1:])


def _boxes(content: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Kind and first byte of the content of the boxes that tell times, also inside of others."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, start)
        inner = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, inner)
            inner += 8
        if kind in (b"moov", b"trak", b"edts"):
            yield from _boxes(content, inner, start + size)
        elif kind in (b"mvhd", b"tkhd", b"elst"):
            yield kind, inner
        start += size or end
