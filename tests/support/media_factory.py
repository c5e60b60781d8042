"""Makes small videos for tests, odd ones included, with real speech in them."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[2] / "examples" / "videos"
RATE = 44_100
MARK = 16
"""Side of the squares in which each picture shows its number, in binary, least bit on the left."""


def speech(seconds: float = 3.0) -> NDArray[np.float32]:
    """(samples,) at 44.1 kHz: sentences of two GRID speakers, one after the other, as often as needed."""
    parts = [decoded(EXAMPLES / f"grid_{name}.mpg") for name in ("sbia1a", "lrwp9a")]
    wave = np.concatenate(parts)
    return np.resize(wave, round(seconds * RATE)).astype(np.float32)


def decoded(path: Path, rate: int = RATE) -> NDArray[np.float32]:
    """(samples,) of a file's first sound stream as mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", rate)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([f.to_ndarray()[0] for f in frames])


def make_video(
    path: Path,
    *,
    seconds: float = 3.0,
    fps: int = 25,
    size: tuple[int, int] = (160, 120),
    audio: str | None = "speech",
    video: bool = True,
    rotate: int = 0,
    vfr: bool = False,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    delay: float = 0.0,
    options: dict[str, str] | None = None,
    encoder: dict[str, str] | None = None,
    sound_first: bool = False,
) -> Path:
    """A video whose pictures show their number. `audio`: "speech", "tone", "silence" or None for no stream.

    `rotate` is the number of degrees (counter-clockwise) by which a player turns the picture; `vfr` drops two
    of three pictures in the second half; `delay` seconds pass before the first picture. `options` go to the
    container, `encoder` to what encodes the pictures. `sound_first` makes the sound stream 0 of the file.
    """
    with av.open(str(path), "w", format=container or _format(path), options=options or {}) as out:
        streams = []
        if audio is not None and sound_first:
            streams.append(_sound(out, _wave(audio, seconds + delay)))
        if video:
            streams.append(_pictures(out, seconds, fps, size, codec, pix_fmt, rotate, vfr, delay, encoder))
        if audio is not None and not sound_first:
            streams.append(_sound(out, _wave(audio, seconds + delay)))
        for packet in [p for stream in streams for p in stream]:
            out.mux(packet)
    return path


def video_with_sound(path: Path, *tracks: NDArray[np.float32]) -> Path:
    """An mp4 as long as the first of the (samples,) `tracks` at 44.1 kHz, each of them a sound track."""
    silent = make_video(path.with_suffix(".tmp.mp4"), seconds=len(tracks[0]) / RATE, audio=None)
    with av.open(str(silent)) as there, av.open(str(path), "w", format="mp4") as out:
        pictures = out.add_stream_from_template(there.streams.video[0])
        sounds = [out.add_stream("aac", rate=RATE, layout="mono") for _ in tracks]
        for packet in there.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
        for sound, track in zip(sounds, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(track[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate = RATE
            for packet in [*sound.encode(frame), *sound.encode(None)]:
                out.mux(packet)
    silent.unlink()
    return path


def set_display_matrix(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Overwrite (a, b; c, d) of the display matrix of the video track of an mp4 or mov file."""
    content = bytearray(path.read_bytes())
    at = -1
    while (at := content.find(b"tkhd", at + 1)) >= 0:
        wide = content[at + 4] == 1
        place = at + 4 + (52 if wide else 40)
        if struct.unpack_from(">I", content, place + 36)[0]:  # only pictures have a width
            a, b, c, d = (round(number * 65_536) for number in matrix)
            struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def _format(path: Path) -> str:
    known = {
        ".mkv": "matroska",
        ".mov": "mov",
        ".ts": "mpegts",
        ".mp3": "mp3",
        ".avi": "avi",
        ".webm": "webm",
        ".wmv": "asf",
    }
    return known.get(path.suffix, "mp4")


def _wave(kind: str, seconds: float) -> NDArray[np.float32]:
    samples = round(seconds * RATE)
    if kind == "speech":
        return speech(seconds)
    if kind == "tone":
        return (0.3 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE)).astype(np.float32)
    return np.zeros(samples, np.float32)


def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(height, width) gray with the number written in squares along the top."""
    width, height = size
    gray = np.full((height, width), 96, np.uint8)
    for bit in range(8):
        gray[:MARK, bit * MARK : (bit + 1) * MARK] = 235 if number >> bit & 1 else 16
    return gray


def number_of(gray: NDArray[np.uint8]) -> int:
    """The number that `picture` wrote."""
    middle = gray[MARK // 2, MARK // 2 : 8 * MARK : MARK]
    return sum(1 << bit for bit, level in enumerate(middle) if level > 128)


def _pictures(
    out: av.container.OutputContainer, seconds: float, fps: int, size: tuple[int, int], codec: str,
    pix_fmt: str, rotate: int, vfr: bool, delay: float, encoder: dict[str, str] | None,
) -> Iterator[av.Packet]:  # fmt: skip
    stream = out.add_stream(
        codec, rate=fps, options=(encoder or {}) | ({"crf": "12"} if "264" in codec else {})
    )
    stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
    stream.codec_context.thread_count = 1
    if rotate:
        stream.set_display_rotation(rotate)

    def packets() -> Iterator[av.Packet]:
        count = max(1, round(seconds * fps))
        for number in range(count):
            if vfr and number > count // 2 and number % 3:
                continue
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="gray").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number + round(delay * fps), Fraction(1, fps)
            yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets()


def _sound(out: av.container.OutputContainer, wave: NDArray[np.float32]) -> Iterator[av.Packet]:
    name = {"mp3": "libmp3lame", "webm": "libopus", "asf": "wmav2"}.get(out.format.name, "aac")
    rate = 48_000 if name == "libopus" else RATE
    stream = out.add_stream(name, rate=rate, layout="mono")
    if name == "wmav2":
        stream.bit_rate = 64_000  # it knows no usual one

    def packets() -> Iterator[av.Packet]:
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        yield from stream.encode(frame)
        yield from stream.encode(None)

    return packets()
