"""What ingest costs beside the plain tools that do a part of it, and how well it hears where people speak.

    python -m benchmarks.ingest [--data DIR] [--quick] [--json FILE] [--only NAME]

The talk is made of the example videos: 640x360, 150 utterances in 10 minutes (15 in 1 with --quick), a key
picture every 10 seconds.

- ingest_cut_vs_ffmpeg: CPU seconds of reading the talk and cutting it (clips, silent clips, waves) / those of
  one ffmpeg process that decodes the whole talk and encodes the same stretches once, with the same settings.
  The search for faces, which ffmpeg does not do, is left out, and told beside it;
- ingest_cut_vs_process_per_clip: the same / one ffmpeg process per utterance that makes the same three files,
  the pictures encoded once for both clips;
- ingest_copy_share: CPU seconds of reading the talk and copying its packets / of reading and cutting it, both
  without looking at pictures;
- vad_real_time_share: CPU seconds of hearing voices (the network listens twice) / seconds of sound, one core;
- vad_speed_vs_official: how much sooner than the package's own loop over the frames; and
  vad_largest_difference: how far apart the probabilities of both are at most;
- ingest_exponent: slope of the logarithm of a worker's CPU seconds over that of the length, of talks of 10,
  20 and 40 minutes (1, 2, 4 with --quick); 1 means that twice the length costs twice as much;
- check_*: as `benchmarks._ingest_checks` says;
- faces_*: as `benchmarks._ingest_faces` says;
- lettering_*: as `benchmarks._ingest_lettering` says;
- executor_*, ray_*: as `benchmarks._ingest_executors` says;
- repeats_*: as `benchmarks._ingest_repeats` says;
- segmentation_*: as `benchmarks._ingest_segments` says;
- speakers_*: as `benchmarks._ingest_speakers` says;
- ingest_two_workers_share: wall seconds of `annotate ingest` of four videos with 2 workers / with 1;
- ingest_memory_growth: peak memory of a worker's work on the longest of these / on the shortest.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from annotate.executors.process import ONE_THREAD
from annotate.media.audio import SAMPLE_RATE, decode_audio
from annotate.media.cut import cut, snap
from annotate.media.frame_sampling import FrameSampler
from annotate.media.probe import probe
from annotate.media.remux import cannot_copy, copy
from annotate.segmenters.postprocess import pad
from annotate.segmenters.silero_vad import speech_probability, voicing
from annotate.transcripts.read import read_transcript
from annotate.transcripts.usable import usable
from annotate.types import Cue, SampleMedia, Segment
from benchmarks._bars import Bars, arguments
from benchmarks._ingest_segments import official_network

ROOT = Path(__file__).parent.parent
VIDEOS = ROOT / "examples" / "videos"
EVERY = 4.0
"""Seconds from one utterance of the talk to the next: a clip of three, and a pause."""
CLIPS = 10
ENCODER = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-x264-params", "cpu-independent=1",
           "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-aac_coder", "fast")  # fmt: skip
"""What `annotate.media.clip` sets."""

PREPARE = """
import sys, time
from pathlib import Path
from annotate.ingest.prepare import prepare
from annotate.types import CutPlan, VideoJob
path, media = map(Path, sys.argv[1:])
began = time.process_time()
made = prepare(VideoJob(path, "0" * 64, media, path.with_suffix(".srt"), CutPlan()))
assert made.samples, made
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
print(time.process_time() - began)
"""

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    wall: float
    cpu: float
    """Of this process and of those that it started and that have ended."""


def cost(work: Callable[[], object]) -> Cost:
    began, before = time.monotonic(), _cpu()
    work()
    return Cost(time.monotonic() - began, _cpu() - before)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def in_turns(works: Sequence[Callable[[], object]], rounds: int) -> list[Cost]:
    """Median wall and CPU seconds of each; one goes after the other, round by round."""
    seen = [[cost(work) for work in works] for _ in range(rounds)]
    return [
        Cost(statistics.median(c.wall for c in column), statistics.median(c.cpu for c in column))
        for column in zip(*seen, strict=True)
    ]


def ffmpeg(*options: object) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", *map(str, options)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make_unit(folder: Path) -> Path:
    """The ten sentences of the examples with a pause after each: 40 s in one shot.

    A key picture comes every ten seconds, as encoders make them while one camera runs; left to themselves
    they would set one at each change of the sentence, and every utterance would begin at a key picture.
    """
    clips = sorted(VIDEOS.glob("grid_*.mpg"))[:CLIPS]
    shape = "scale=-2:360,pad=640:360:-1:-1,setsar=1,fps=25"
    parts = [
        f"[{n}:v]{shape},tpad=stop_mode=clone:stop=-1,trim=duration={EVERY}[v{n}];"
        f"[{n}:a]aresample=44100,apad,atrim=duration={EVERY}[a{n}];"
        for n in range(CLIPS)
    ]
    chain = "".join(f"[v{n}][a{n}]" for n in range(CLIPS)) + f"concat=n={CLIPS}:v=1:a=1[v][a]"
    inputs = [part for clip in clips for part in ("-i", clip)]
    ffmpeg(
        *inputs, "-filter_complex", "".join(parts) + chain, "-map", "[v]", "-map", "[a]", "-ac", 1,
        *ENCODER, "-g", 250, "-sc_threshold", 0, folder / "unit.mp4",
    )  # fmt: skip
    return folder / "unit.mp4"


def make_talk(unit: Path, name: str, minutes: float) -> Path:
    """The unit as often as it takes, with subtitles beside it."""
    talk = unit.with_name(f"{name}.mp4")
    ffmpeg("-stream_loop", -1, "-i", unit, "-t", minutes * 60, "-c", "copy", talk)
    cues = [told(path, 3_000_000) for path in sorted(VIDEOS.glob("*.srt"))]
    lines = []
    for n in range(round(minutes * 60 / EVERY)):
        (cue,) = cues[n % CLIPS]
        first, last = (n * EVERY + at / 1e6 for at in (cue.start_us, cue.end_us))
        lines.append(f"{n + 1}\n{_clock(first)} --> {_clock(last)}\n{cue.text}\n")
    talk.with_suffix(".srt").write_text("\n".join(lines))
    return talk


def _clock(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"


def utterances(talk: Path) -> list[Segment]:
    """As ingest would cut them."""
    heard = decode_audio(talk)
    cues = [Segment(c.start_us, c.end_us, c.text) for c in told(talk.with_suffix(".srt"), heard.end_us)]
    return snap(pad(cues, 100_000, heard.end_us), heard)


def told(path: Path, duration_us: int) -> tuple[Cue, ...]:
    return usable(read_transcript(path), duration_us).cues


def our_cut(talk: Path, segments: Sequence[Segment], media: Path) -> None:
    wanted = [(SampleMedia.under(media, f"{n:016x}"), s) for n, s in enumerate(segments)]
    cut(talk, probe(talk), decode_audio(talk), wanted)


def cut_without_faces(talk: Path, segments: Sequence[Segment], media: Path) -> None:
    with patch.object(FrameSampler, "add", lambda *_: None):
        our_cut(talk, segments, media)


def our_copy(talk: Path, segments: Sequence[Segment], media: Path, *, look: bool = False) -> None:
    """Without looking at pictures, unless asked to."""
    wanted = [(SampleMedia.under(media, f"{n:016x}"), s) for n, s in enumerate(segments)]
    found, heard = probe(talk), decode_audio(talk)
    assert not cannot_copy(found, heard)
    with nullcontext() if look else patch.object(FrameSampler, "add", lambda *_: None):
        copy(talk, found, heard, wanted)


def one_ffmpeg(talk: Path, segments: Sequence[Segment], target: Path) -> None:
    """Decode all, and encode the stretches that are kept, in one go."""
    terms = [f"between(t,{s.start_us / 1e6:.6f},{s.end_us / 1e6 - 0.001:.6f})" for s in segments]
    # In brackets of thirty: ffmpeg takes no sum of more than a hundred.
    kept = "+".join(f"({'+'.join(terms[i : i + 30])})" for i in range(0, len(terms), 30))
    ffmpeg(
        "-threads", 1, "-i", talk, "-vf", f"select='{kept}',setpts=N/25/TB",
        "-af", f"aselect='{kept}',asetpts=N/SR/TB", *ENCODER, "-threads", 1, target,
    )  # fmt: skip


def ffmpeg_per_clip(talk: Path, segments: Sequence[Segment], folder: Path) -> None:
    """Clip, silent clip (the same packets) and wave of each utterance from a process of its own."""
    folder.mkdir(exist_ok=True)
    for n, s in enumerate(segments):
        tee = f"[movflags=faststart]{folder}/{n}_M.mp4|[select=v:movflags=faststart]{folder}/{n}_V.mp4"
        ffmpeg(
            "-threads", 1, "-ss", s.start_us / 1e6, "-t", s.seconds, "-i", talk,
            "-map", "0:v", "-map", "0:a", *ENCODER, "-threads", 1, "-flags", "+global_header",
            "-f", "tee", tee,
            "-map", "0:a", "-ac", 1, "-ar", SAMPLE_RATE, folder / f"{n}_A.wav",
        )  # fmt: skip


def compare_cuts(bars: Bars, unit: Path, quick: bool) -> None:
    talk = make_talk(unit, "talk", 1 if quick else 10)
    segments, folder = utterances(talk), talk.parent
    ours, copied, full, once, each = in_turns(
        [
            lambda: cut_without_faces(talk, segments, folder / "media"),
            lambda: our_copy(talk, segments, folder / "copies"),
            lambda: our_cut(talk, segments, folder / "media"),
            lambda: one_ffmpeg(talk, segments, folder / "kept.mp4"),
            lambda: ffmpeg_per_clip(talk, segments, folder / "clips"),
        ],
        3 if quick else 5,
    )
    print(
        f"{len(segments)} utterances of {sum(s.seconds for s in segments):.0f} s: CPU {ours.cpu:.2f} s "
        f"({full.cpu:.2f} s with pictures looked at), copied {copied.cpu:.2f} s, "
        f"one ffmpeg {once.cpu:.2f} s, an ffmpeg each {each.cpu:.2f} s"
    )
    bars.bar("ingest_cut_vs_ffmpeg", ours.cpu / once.cpu, "<=", 1.2)
    bars.bar("ingest_cut_vs_process_per_clip", ours.cpu / each.cpu, "<=", 0.8)
    bars.bar("ingest_copy_share", copied.cpu / ours.cpu, "<=", 0.15)


def compare_vad(bars: Bars, unit: Path, quick: bool) -> None:
    spoken = decode_audio(VIDEOS / "autoeditor_voice_noface_42s.mp4").wave
    some = np.concatenate([decode_audio(unit).wave, spoken])[: SAMPLE_RATE * (20 if quick else 80)]
    long = np.resize(some, SAMPLE_RATE * 600)
    official = official_network()
    found, expected = speech_probability(some), official_probability(official, some)
    ours, theirs = in_turns(
        [lambda: voicing(long), lambda: official_probability(official, some)], 3 if quick else 5
    )
    speed = len(some) / SAMPLE_RATE / theirs.cpu
    print(f"10 minutes of sound: {ours.cpu:.3f} s; the official loop runs at {speed:.0f} times real time")
    bars.bar("vad_real_time_share", ours.cpu / 600, "<=", 1 / 800)
    bars.bar("vad_speed_vs_official", theirs.cpu / len(some) / (ours.cpu / len(long)), ">=", 5)
    bars.bar("vad_largest_difference", float(np.abs(found - expected).max()), "<=", 1e-4)


def official_probability(network: Any, wave: Wave) -> Wave:
    import torch

    network.reset_states()
    frames = torch.from_numpy(np.pad(wave, (0, -len(wave) % 512))).split(512)
    with torch.no_grad():
        return np.asarray([network(frame, SAMPLE_RATE).item() for frame in frames], np.float32)


def compare_workers(bars: Bars, unit: Path, quick: bool) -> None:
    videos = unit.parent / "videos"
    videos.mkdir()
    for n in range(4):
        # Each a bit longer than the one before: the same content would be one video.
        talk = make_talk(unit, f"talk{n}", (0.5 if quick else 3) + n / 600)
        talk.rename(videos / talk.name)
        talk.with_suffix(".srt").rename(videos / f"talk{n}.srt")

    rounds = 1 if quick else 3
    projects = iter([unit.parent / f"project{n}" for n in range(2 * rounds)])
    for n in range(2 * rounds):
        annotate("init", unit.parent / f"project{n}")

    def ingest(workers: int) -> None:
        annotate("-C", next(projects), "ingest", videos, "--workers", workers)

    one, two = in_turns([lambda: ingest(1), lambda: ingest(2)], rounds)
    print(f"four videos: {one.wall:.1f} s with one worker, {two.wall:.1f} s with two")
    bars.bar("ingest_two_workers_share", two.wall / one.wall, "<=", 0.6)


def annotate(*options: object) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, options)]
    subprocess.run(command, check=True, capture_output=True)


def compare_lengths(bars: Bars, unit: Path, quick: bool) -> None:
    lengths = (1, 2, 4) if quick else (10, 20, 40)
    used = [worker(make_talk(unit, f"length{minutes}", minutes)) for minutes in lengths]
    for minutes, (memory, cpu) in zip(lengths, used, strict=True):
        print(f"{minutes} minutes: peak memory {memory:.0f} MB, CPU {cpu:.1f} s")
    slope = float(np.polyfit(np.log(lengths), np.log([cpu for _, cpu in used]), 1)[0])
    bars.bar("ingest_exponent", slope, "<=", 1.05)
    bars.bar("ingest_memory_growth", used[-1][0] / used[0][0], "<=", 1.3)


def worker(talk: Path) -> tuple[float, float]:
    """Most MB, and CPU seconds, of a process like a worker while it makes the samples of a talk."""
    with tempfile.TemporaryDirectory() as media:
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, talk, media],
            check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
    memory, cpu = done.stdout.split()
    return int(memory) / 1024, float(cpu)


@contextmanager
def scratch_unit() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield make_unit(Path(folder))


PARTS: dict[str, Callable[[Bars, Path, Path | None, bool], None]] = {
    "cut": lambda bars, unit, _, quick: compare_cuts(bars, unit, quick),
    "vad": lambda bars, unit, _, quick: compare_vad(bars, unit, quick),
    "workers": lambda bars, unit, _, quick: compare_workers(bars, unit, quick),
    "lengths": lambda bars, unit, _, quick: compare_lengths(bars, unit, quick),
}
OTHERS = ("segments", "speakers", "repeats", "checks", "faces", "lettering", "executors")
"""Parts that stand in modules of their own, and need none of the talks made here."""


def main() -> int:
    """Medians of five (three with --quick), the sides in turns; of three where whole commands are timed."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--only", choices=(*PARTS, *OTHERS), help="one part alone")
    options = parser.parse_args()
    bars = Bars()
    with scratch_unit() as unit:
        for name, compare in PARTS.items():
            if options.only in (None, name):
                compare(bars, unit, options.data, options.quick)
    for name in OTHERS:
        if options.only in (None, name):
            import_module(f"benchmarks._ingest_{name}").measure(bars, options.data, options.quick)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
