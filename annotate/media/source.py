"""Opens media files safely: with allow-lists of formats and protocols, limits, and never as a URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotate.errors import MediaError
from annotate.media.files import unreadable

if TYPE_CHECKING:
    import av
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

PROTOCOLS = "file"
FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,wav,mp3,aac,flac"
"""Allowed demuxers. Playlist formats are not among them, because they can refer to other files."""

MAX_PIXELS = 35_389_440  # 8192 x 4320: a larger frame is an attack or a mistake
MAX_STREAMS = 64
MAX_SECONDS = 4 * 3600
MAX_HOLE_SECONDS = 600
"""A longer gap in audio or video means that the timestamps jumped."""


class TimeJump(Exception):
    """Timestamps jump by more than any pause; the argument is the size of the jump in seconds."""


def address(path: Path) -> str:
    """`path` in a form that FFmpeg takes literally, whatever its name is (``http:a.mp4``, ``-i.mp4``)."""
    return f"file:{path.absolute()}"


@contextmanager
def open_source(path: Path) -> Iterator["InputContainer"]:
    """Open an untrusted media file for reading, and close it at the end.

    Raises `MediaError` with code ``empty``, ``unreadable``, ``broken`` (not a media file, damaged, a
    playlist), ``too-large`` or ``too-long``. Damage that FFmpeg detects inside the block is ``broken`` too.
    """
    import av

    with _opened(path) as container:
        _check_limits(path, container)
        try:
            yield container
        except av.error.FFmpegError as error:
            raise broken(path) from error
        except TimeJump as jump:
            raise broken(path, f"is damaged: its clock jumps by {jump.args[0]:.0f} s") from jump


def _opened(path: Path) -> "InputContainer":
    import av

    try:
        if path.stat().st_size == 0:
            raise MediaError(f"{path} is empty (zero bytes)", code="empty", hint="copy the file again")
        options = {
            "protocol_whitelist": PROTOCOLS,
            "format_whitelist": FORMATS,
            "max_streams": str(MAX_STREAMS),
            "max_pixels": str(MAX_PIXELS),
        }
        return av.open(address(path), options=options, metadata_errors="replace")
    except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
        raise unreadable(path, error) from error
    except av.error.FFmpegError as error:
        raise broken(path) from error
    except OSError as error:
        raise unreadable(path, error) from error


def broken(path: Path, why: str = "is no media file, or a damaged one") -> MediaError:
    """The error for a file that cannot be decoded."""
    return MediaError(f"{path} {why}", code="broken", hint="play the file, and copy or export it again")


def moving_stream(container: "InputContainer") -> "VideoStream | None":
    """The first video stream that is not a cover image; None if there is none."""
    from av.stream import Disposition

    streams = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next((s for s in streams if _decodable(s)), None)


def sound_stream(container: "InputContainer") -> "AudioStream | None":
    """The audio track that players choose: the first one marked as default, or else the first."""
    from av.stream import Disposition

    streams = [s for s in container.streams.audio if _decodable(s) and s.codec_context.sample_rate]
    marked = (s for s in streams if s.disposition & Disposition.default)
    return next(marked, streams[0] if streams else None)


def _decodable(stream: Any) -> bool:
    """Whether there is a decoder for the stream; unknown and damaged streams have none."""
    return stream.codec_context is not None


def media_streams(container: "InputContainer") -> "tuple[VideoStream, AudioStream]":
    """The video and the audio stream of a file that `probe` accepted."""
    video, audio = moving_stream(container), sound_stream(container)
    assert video is not None and audio is not None
    return video, audio


def media_packets(
    container: "InputContainer", video: "VideoStream", audio: "AudioStream"
) -> "Iterator[tuple[av.Packet[Any], bool]]":
    """The packets of both streams in file order, each with whether it belongs to `video`.

    At the end of the file each stream gets one empty packet, which flushes its decoder. PyAV leaves the
    `stream_index` of these packets at 0: only `packet.stream` tells to which stream they belong.
    """
    for packet in container.demux(video, audio):
        yield packet, packet.stream.index == video.index


def _check_limits(path: Path, container: "InputContainer") -> None:
    for stream in container.streams.video:
        context = stream.codec_context
        if not _decodable(stream):
            continue
        context.options = {"max_pixels": str(MAX_PIXELS)}
        if context.width * context.height > MAX_PIXELS:
            raise MediaError(
                f"the pictures of {path} measure {context.width} x {context.height}, more than is decoded",
                code="too-large",
                hint="scale the video down first",
            )
    if (container.duration or 0) > MAX_SECONDS * 1_000_000:
        raise MediaError(
            f"{path} lasts more than {MAX_SECONDS // 3600} hours",
            code="too-long",
            hint="cut it into parts first",
        )
