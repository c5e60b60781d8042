"""Reads the properties of a media file, without ffprobe."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annotate.errors import MediaError
from annotate.media.source import broken, media_streams, moving_stream, open_source, sound_stream
from annotate.orientation import TURNS, Filters, swaps_sides, upright_filters

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

_LONGEST_PIXEL = 10
"""Largest aspect ratio of a pixel; more is damage, and would reduce the frame to a strip."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The properties of a media file. Sizes are those of the stored frame, before rotation."""

    container: str
    duration_us: int
    """The duration in the container's header; 0 if there is none."""
    streams: int
    video_codec: str
    width: int
    height: int
    pixel_format: str
    pixel_aspect: float
    """Width of a pixel divided by its height."""
    fps: float
    """Average frames per second."""
    rotation: int
    """Counter-clockwise rotation for display in degrees (0, 90, 180 or 270); 0 for mirrored video."""
    upright: Filters
    """FFmpeg filters that apply the display matrix to the stored frame, mirroring included."""
    audio_codec: str
    audio_rate: int
    channels: int
    sound_tracks: int = 1
    """Number of audio tracks. The one marked as default is used, or else the first."""

    def facts(self) -> dict[str, object]:
        """The properties as a JSON-serialisable dict."""
        return asdict(self)

    @property
    def shown(self) -> tuple[float, float]:
        """Width and height as displayed: upright, in square pixels."""
        width, height = self.width * self.pixel_aspect, float(self.height)
        return (height, width) if swaps_sides(self.upright) else (width, height)


def probe(path: Path) -> Probe:
    """Open the file and decode its first frame.

    Raises `MediaError` as `open_source` does, and with code ``no-video`` or ``no-audio``.
    """
    with open_source(path) as container:
        if moving_stream(container) is None:
            raise MediaError(f"{path} holds no moving picture", code="no-video", hint="give the video itself")
        if sound_stream(container) is None:
            raise MediaError(f"{path} holds no sound", code="no-audio", hint="export it with its audio")
        video, audio = media_streams(container)
        first = _first_picture(path, container)
        upright = upright_filters(first)
        aspect = float(video.sample_aspect_ratio or 1)
        return Probe(
            container=container.format.name,
            duration_us=container.duration or 0,
            streams=len(container.streams),
            video_codec=video.codec_context.name,
            width=first.width,
            height=first.height,
            pixel_format=first.format.name,
            # Files store impossible values too.
            pixel_aspect=aspect if 1 / _LONGEST_PIXEL <= aspect <= _LONGEST_PIXEL else 1.0,
            fps=round(float(video.average_rate or video.guessed_rate or 25), 3),
            rotation=TURNS.get(upright, 0),
            upright=upright,
            audio_codec=audio.codec_context.name,
            audio_rate=audio.codec_context.sample_rate,
            channels=audio.codec_context.channels,
            sound_tracks=len(container.streams.audio),
        )


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
