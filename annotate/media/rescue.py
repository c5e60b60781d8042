"""Turns a file that the usual decoder gives up on into one that it reads, with a second build of FFmpeg."""

import resource
import subprocess
from pathlib import Path

from annotate.media.files import disk_full
from annotate.media.source import FORMATS, MAX_PIXELS, MAX_SECONDS, PROTOCOLS, address, broken

FOLDER = ".rescue"
"""In the media folder: where copies lie while they are cut. Whatever is there before a run is left over."""

_CPU_SECONDS = 600


def rescue(path: Path, folder: Path) -> Path:
    """Decode what can be decoded of `path` into a new file in `folder`, under the same white-lists.

    Raises `MediaError` with code ``broken`` when this program reads nothing either, ``disk-full`` when there
    is no room for the copy.
    """
    import ffmpeg
    import imageio_ffmpeg

    # A link of a plain name stands for the file: the command builder cannot hold every name a file may have.
    link, target = folder / "original", folder / "rescued.mkv"
    link.symlink_to(path.absolute())
    source = ffmpeg.input(
        address(link), protocol_whitelist=PROTOCOLS, format_whitelist=FORMATS, max_pixels=MAX_PIXELS
    )
    output = source.output(
        address(target),
        t=MAX_SECONDS,
        vcodec="libx264",
        preset="ultrafast",
        crf=10,
        acodec="pcm_s16le",
        threads=1,
    ).global_args("-nostdin", "-loglevel", "error")
    done = subprocess.run(
        output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe()),
        stdin=subprocess.DEVNULL, capture_output=True, check=False, preexec_fn=_limit,
    )  # fmt: skip
    if b"No space left on device" in done.stderr:
        raise disk_full(target)
    if done.returncode or not target.exists():
        raise broken(path)
    return target


def _limit() -> None:
    """The program ends by itself even if the worker that started it is killed."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
