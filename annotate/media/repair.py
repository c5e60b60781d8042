"""Re-encodes a damaged file with a second build of FFmpeg, so that the usual decoder can read it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from annotate.media.audio import no_heartbeat
from annotate.media.files import disk_full
from annotate.media.source import FORMATS, MAX_PIXELS, MAX_SECONDS, PROTOCOLS, address, broken

_CPU_SECONDS = 600


def repair(path: Path, folder: Path, heartbeat: Callable[[int], None] = no_heartbeat) -> Path:
    """Decode what can be decoded of `path` into a new file in `folder`, with the same restrictions.

    `heartbeat` is called every second. Raises `MediaError` with code ``broken`` when this build cannot read
    the file either, and ``disk-full`` when there is no room for the copy.
    """
    import ffmpeg
    import imageio_ffmpeg

    # The command builder cannot represent every file name, so it gets a link with a plain name.
    link, target = folder / "original", folder / "repaired.mkv"
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
    code, messages = _run(output.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe()), heartbeat)
    if b"No space left on device" in messages:
        raise disk_full(target)
    if code or not target.exists():
        raise broken(path)
    return target


def _run(command: list[str], heartbeat: Callable[[int], None]) -> tuple[int, bytes]:
    """Run a program; return its exit code and its stderr. It ends with this call at the latest.

    A CPU limit ends it even when the worker that started it is killed.
    """
    limited = ["/bin/sh", "-c", f'ulimit -t {_CPU_SECONDS} && exec "$@"', "sh", *command]
    with subprocess.Popen(
        limited, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            while True:
                try:
                    _, messages = process.communicate(timeout=1)
                    return process.returncode, messages
                except subprocess.TimeoutExpired:
                    heartbeat(0)
        except BaseException:
            process.kill()
            raise
