"""Turns a file that the usual decoder gives up on into one that it reads, with a second build of FFmpeg."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from annotate.media.files import disk_full
from annotate.media.sound import tell_nobody
from annotate.media.source import FORMATS, MAX_PIXELS, MAX_SECONDS, PROTOCOLS, address, broken

_CPU_SECONDS = 600


def rescue(path: Path, folder: Path, alive: Callable[[int], None] = tell_nobody) -> Path:
    """Decode what can be decoded of `path` into a new file in `folder`, under the same white-lists.

    `alive` is called every second.

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
    code, said = _run(output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe()), alive)
    if b"No space left on device" in said:
        raise disk_full(target)
    if code or not target.exists():
        raise broken(path)
    return target


def _run(command: list[str], alive: Callable[[int], None]) -> tuple[int, bytes]:
    """The exit code of a program, and what it complained of; it does not outlive this call.

    It also ends by itself, even if the worker that started it is killed.
    """
    limited = ["/bin/sh", "-c", f'ulimit -t {_CPU_SECONDS} && exec "$@"', "sh", *command]
    with subprocess.Popen(
        limited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as started:
        try:
            while True:
                try:
                    _, said = started.communicate(timeout=1)
                    return started.returncode, said
                except subprocess.TimeoutExpired:
                    alive(0)
        except BaseException:
            started.kill()
            raise
