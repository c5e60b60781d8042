"""Cuts samples of one video by copying packets (remuxing); only keyframes are decoded, for the checks.

A clip starts with the keyframe before its sample. An edit list (ISO/IEC 14496-12, 8.6.6), which players have
to honour, hides what lies before the first and after the last frame of the sample.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from annotate.media.audio import SAMPLE_RATE, Clock, DecodedAudio, no_heartbeat, piece, start_us
from annotate.media.clip import MemoryFile, wav
from annotate.media.cut import CutSample, size_of, varies
from annotate.media.files import write_atomic
from annotate.media.frame_sampling import FrameSampler
from annotate.media.frames import Upright
from annotate.media.probe import Probe
from annotate.media.source import media_packets, media_streams, open_source
from annotate.orientation import TURNS
from annotate.types import SampleMedia, Segment

if TYPE_CHECKING:
    import av
    from av.stream import Stream

_MAX_HIDDEN_US = 20_000_000
_TICKS = 1_000_000
"""Units per second of the durations in edit lists."""
_INTERLEAVING_US = 2_000_000
"""How far audio and video packets of the same time may be apart in the file."""
_WARM_UP_US = 60_000
"""Audio before a sample that the decoder needs to start: two AAC frames at 44.1 kHz."""


def cannot_copy(probe: Probe, decoded: DecodedAudio) -> str:
    """Why copied packets of this video would not play, or not in sync, in a browser; empty if they would."""
    entries = np.append(decoded.entry_us, decoded.end_us)
    rare = len(entries) < 2 or np.diff(entries, prepend=0).max() > _MAX_HIDDEN_US
    playable = probe.video_codec == "h264" and probe.pixel_format in ("yuv420p", "yuvj420p")
    reasons = (
        ("mp4" not in probe.container, "its container does not store decoding times"),
        (not playable, f"browsers may not play {probe.video_codec} ({probe.pixel_format})"),
        (probe.upright not in TURNS, "browsers may not support its mirroring or rotation"),
        (probe.audio_codec not in ("aac", "mp3"), f"mp4 files do not support {probe.audio_codec} audio"),
        (varies(decoded.frame_us), "its frame rate is variable"),
        (rare, "its keyframes are more than 20 s apart"),
    )
    return next((reason for applies, reason in reasons if applies), "")


def copy(
    path: Path,
    probe: Probe,
    decoded: DecodedAudio,
    samples: Sequence[tuple[SampleMedia, Segment]],
    heartbeat: Callable[[int], None] = no_heartbeat,
) -> list[CutSample]:
    """Write the files that `annotate.media.cut.cut` writes, for a video that `cannot_copy` accepts.

    Frames keep their size. Only keyframes are sampled for the checks: those of the sample, or else the one
    before it. Raises `MediaError` as `cut` does.
    """
    with open_source(path) as container:
        video, audio = media_streams(container)
        zero = start_us(container)
        jobs = [_Job(m, s, decoded, (video, audio), zero) for m, s in samples]
        video.codec_context.thread_count = 1
        keyframes = _KeyframeDecoder(jobs, Upright(size_of(probe), probe.upright))
        clock, waiting, active = Clock(video, zero), iter(jobs), list[_Job]()
        ahead = next(waiting, None)
        for packet, is_video in media_packets(container, video, audio):
            if packet.dts is None:
                continue
            base = packet.time_base or Fraction(1)
            time = packet.dts * base.numerator * 1e6 / base.denominator - zero
            heartbeat(round(time))
            while ahead and time >= ahead.entry_us - _INTERLEAVING_US:
                active.append(ahead)
                ahead = next(waiting, None)
            for job in active:
                job.take(packet, is_video)
            if is_video and packet.is_keyframe and (shown := clock(packet)) is not None:
                keyframes.decode(packet, shown)
            for job in [job for job in active if job.complete]:
                job.result()
                active.remove(job)
        return [job.result() for job in jobs]


class _Copy:
    """The packets of one stream that a clip needs, with times relative to the clip."""

    def __init__(self, stream: "Stream", from_us: int, to_us: int, zero_us: int) -> None:
        self.stream = stream
        base = stream.time_base or Fraction(1)
        self._from, self._to = (round((t + zero_us) / 1_000_000 / base) for t in (from_us, to_us))
        self._near = round(Fraction(1, 1000) / base)
        self._packets: list[tuple[av.Packet[Any], int, int]] = []
        self.complete = False

    def take(self, packet: "av.Packet[Any]") -> None:
        """Keep a packet, unless it and all that follow are decoded after the end of the clip."""
        assert packet.dts is not None
        self.complete = self.complete or packet.dts >= self._to
        if not self.complete:
            shown = packet.dts if packet.pts is None else packet.pts
            self._packets.append((packet, shown, packet.dts))

    def shifted(self) -> "Iterator[tuple[float, av.Packet[Any]]]":
        """The packets with their decoding times in seconds; the first shown frame or sample has time 0."""
        zero = min([shown for _, shown, _ in self._packets] or [0], key=lambda t: abs(t - self._from))
        if abs(zero - self._from) > self._near:
            zero = self._from
        base = self.stream.time_base or Fraction(1)
        for packet, shown, decoding in self._packets:
            # A packet may have been shifted before, for another file.
            packet.time_base, packet.pts, packet.dts = base, shown - zero, decoding - zero
            yield packet.dts * base.numerator / base.denominator, packet


class _Job:
    """One sample while its packets arrive."""

    def __init__(
        self,
        media: SampleMedia,
        segment: Segment,
        decoded: DecodedAudio,
        streams: "tuple[av.VideoStream, av.AudioStream]",
        zero_us: int,
    ) -> None:
        self.media, self.segment, self._decoded = media, segment, decoded
        entries = decoded.entry_us
        start, end = segment.start_us, segment.end_us
        self.entry_us = int(entries[max(0, int(np.searchsorted(entries, start, "right")) - 1)])
        inside = entries[(entries >= start) & (entries < end)].tolist()
        self.sampled_us = frozenset[int](inside or [self.entry_us])
        self.frame_sampler = FrameSampler()
        self._video, self._audio = (_Copy(s, start, end, zero_us) for s in streams)
        self._clocks = (Clock(streams[0], zero_us), Clock(streams[1], zero_us))
        self._entered = False
        self._result: CutSample | None = None

    @property
    def complete(self) -> bool:
        return self._video.complete and self._audio.complete

    def take(self, packet: "av.Packet[Any]", is_video: bool) -> None:
        """Keep the packet if the clip needs it."""
        time = self._clocks[0 if is_video else 1](packet)
        if is_video:
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
                    "A": write_atomic(self.media.audio, wav(piece(self._decoded.wave, SAMPLE_RATE, span))),
                    "V": write_atomic(self.media.silent, _file([self._video], length)),
                    "M": write_atomic(self.media.clip, _file([self._video, self._audio], length)),
                },
                self.frame_sampler.frame_samples(),
            )
            # The sampler keeps the last frames, and a long video has hundreds of samples.
            del self._video, self._audio, self.frame_sampler
        return self._result


class _KeyframeDecoder:
    """Decodes the keyframes that samples need, and no other frames."""

    def __init__(self, jobs: Sequence[_Job], upright: Upright) -> None:
        self._upright = upright
        self._jobs: dict[int, list[_Job]] = {}
        for job in jobs:
            for time in job.sampled_us:
                self._jobs.setdefault(time, []).append(job)

    def decode(self, packet: "av.Packet[Any]", time_us: int) -> None:
        """Decode the keyframe shown at `time_us` if any sample needs it."""
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
            upright = self._upright(frame)
            for job in jobs:
                job.frame_sampler.add(upright, time_us)


def _file(copies: "Iterable[_Copy]", length_us: int) -> bytes:
    """The packets as an mp4 file that plays from time 0 for `length_us` microseconds."""
    file, packets = MemoryFile(), list[tuple[float, Any, Any]]()
    with file.open(movie_timescale=str(_TICKS)) as container:
        for copied in copies:
            stream = container.add_stream_from_template(copied.stream)
            packets += [(time, packet, stream) for time, packet in copied.shifted()]
        for _, packet, stream in sorted(packets, key=lambda p: p[0]):
            source, packet.stream = packet.stream, stream
            container.mux(packet)
            packet.stream = source
    # The header and the last edit of each track get the exact length.
    movie = bytearray(file.take())
    for kind, at in _boxes(movie, 0, len(movie)):
        if kind in (b"mvhd", b"tkhd"):
            wide = movie[at] == 1
            place = {b"mvhd": (16, 24), b"tkhd": (20, 28)}[kind][wide]
            struct.pack_into(">Q" if wide else ">I", movie, at + place, length_us)
        elif kind == b"elst":
            layout = struct.Struct(">Qqi" if movie[at] == 1 else ">Iii")
            (count,) = struct.unpack_from(">I", movie, at + 4)
            places = [at + 8 + n * layout.size for n in range(count)]
            edits = [layout.unpack_from(movie, place) for place in places]
            remaining = length_us - sum(edit[0] for edit in edits[:-1])
            layout.pack_into(movie, places[-1], max(0, remaining), *edits[-1][1:])
    return bytes(movie)


def _boxes(content: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Type and content offset of the boxes that hold durations, nested ones included."""
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
