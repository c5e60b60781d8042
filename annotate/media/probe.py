"""Finds out what a media file holds, without ffprobe."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annotate.errors import MediaError
from annotate.media.source import broken, media_streams, moving_stream, open_source, sound_stream

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame


@dataclass(frozen=True, slots=True)
class Probe:
    """The facts of a file. Sizes are those of the stored picture, before rotation."""

    container: str
    duration_us: int
    """As the container announces it; 0 when it does not."""
    streams: int
    video_codec: str
    width: int
    height: int
    pixel_format: str
    pixel_aspect: float
    """Width of a pixel divided by its height."""
    fps: float
    """Average pictures per second."""
    rotation: int
    """Degrees counter-clockwise by which the picture is turned for viewing: 0, 90, 180 or 270."""
    audio_codec: str
    audio_rate: int
    channels: int
    sound_tracks: int = 1
    """Of which the one is taken that is marked as the default, else the first."""

    def facts(self) -> dict[str, object]:
        """The same as JSON-able key and value."""
        return asdict(self)

    @property
    def shown(self) -> tuple[float, float]:
        """Width and height as seen by a viewer: square pixels, turned upright."""
        width, height = self.width * self.pixel_aspect, float(self.height)
        return (height, width) if self.rotation in (90, 270) else (width, height)


def probe(path: Path) -> Probe:
    """Open the file, and decode its first picture.

    Raises `MediaError` as `open_source` does, and with code ``no-video`` or ``no-audio``.
    """
    with open_source(path) as container:
        if moving_stream(container) is None:
            raise MediaError(f"{path} holds no moving picture", code="no-video", hint="give the video itself")
        if sound_stream(container) is None:
            raise MediaError(f"{path} holds no sound", code="no-audio", hint="export it with its audio")
        return _facts(container, _first_picture(path, container))


def _first_picture(path: Path, container: "InputContainer") -> "VideoFrame":
    from av.error import FFmpegError

    video, _ = media_streams(container)
    video.codec_context.thread_count = 1
    for packet in container.demux(video):
        try:
            for frame in packet.decode():
                return frame
        except FFmpegError:
            continue
    raise broken(path, "holds no picture that can be decoded")


def _facts(container: "InputContainer", first: "VideoFrame") -> Probe:
    video, audio = media_streams(container)
    return Probe(
        container=container.format.name,
        duration_us=container.duration or 0,
        streams=len(container.streams),
        video_codec=video.codec_context.name,
        width=first.width,
        height=first.height,
        pixel_format=first.format.name,
        pixel_aspect=float(video.sample_aspect_ratio or 1) or 1.0,
        fps=round(float(video.average_rate or video.guessed_rate or 25), 3),
        rotation=round(first.rotation / 90) % 4 * 90,
        audio_codec=audio.codec_context.name,
        audio_rate=audio.codec_context.sample_rate,
        channels=audio.codec_context.channels,
        sound_tracks=len(container.streams.audio),
    )
