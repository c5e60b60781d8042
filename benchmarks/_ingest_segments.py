"""How well ingest hears where people speak, beside silero-vad's own way with the same network.

- segmentation_gain_ami, segmentation_gain_tenvad: mean frame F1 over the files of DIR/speech_segments, inside
  their annotated regions, of our speech segments as they are heard, before length rules and padding, less
  that of silero-vad's `get_speech_timestamps` with its own defaults. What is left under ingest's own limits,
  which drop short speech on purpose and pad the rest, is told beside it;
- segmentation_cuts_in_words: ends of utterances that lie inside a word, in a talk made of recordings with
  known text (DIR/speech_transcripts and the examples), under the usual and under short limits. No set at hand
  gives the times of its words: a text is spread over its recording by letters, within what is not silent, and
  these times count as true. How many ends would lie in a word by ear alone is told beside it;
- segmentation_vs_scenedetect: CPU seconds of reading a video's sound and finding its utterances by ear /
  those of PySceneDetect's detect-content over the same video. That of our `scenes` is told beside it.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.media.audio import decode_audio
from annotate.media.keyframes import keyframes
from annotate.segmenters._level import block_power
from annotate.segmenters.postprocess import utterances
from annotate.segmenters.scenes import Scenes
from annotate.segmenters.silero_vad import SileroVad
from annotate.transcripts.read import read_transcript
from annotate.types import Cue, Footage, LengthRules, Segment, Speech, Transcript, Word
from benchmarks._bars import Bars

SAMPLE_RATE = 16_000
VIDEOS = Path(__file__).parent.parent / "examples" / "videos"
Wave = NDArray[np.float32]


PEER = "scenedetect==0.7.2"
DETECT = """
import sys, time
from scenedetect import ContentDetector, detect
began = time.process_time()
detect(sys.argv[1], ContentDetector())
print(time.process_time() - began)
"""


def official_network() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad import load_silero_vad

        return load_silero_vad()


@dataclass(frozen=True)
class Reference:
    """One file of manual speech segments; all in seconds."""

    name: str
    wave: Wave
    region: tuple[float, float]
    spans: list[tuple[float, float]]


def references(folder: Path) -> Iterator[Reference]:
    import soundfile

    with (folder / "segments.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "annotated_region.csv").open(newline="", encoding="utf-8") as file:
        regions = list(csv.DictReader(file))
    for row in regions:
        wave, rate = soundfile.read(folder / row["file"], dtype="float32")
        assert rate == SAMPLE_RATE and wave.ndim == 1, row["file"]
        spans = [(float(r["start"]), float(r["end"])) for r in rows if r["file"] == row["file"]]
        region = float(row["annotated_from"]), float(row["annotated_to"])
        yield Reference(row["file"], wave, region, spans)


def heard_spans(wave: Wave) -> list[tuple[float, float]]:
    """Speech as the segmenter hears it: no length rules, no padding."""
    return _seconds(heard(wave).segments)


def ingest_spans(wave: Wave) -> list[tuple[float, float]]:
    """What ingest would cut with its default limits and padding."""
    return _seconds(utterances(heard(wave), None, LengthRules(), len(wave) * 1_000_000 // SAMPLE_RATE))


def heard(wave: Wave) -> Speech:
    return SileroVad().segment(Footage(wave, len(wave) * 1_000_000 // SAMPLE_RATE), LengthRules())


def _seconds(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    return [(s.start_us / 1e6, s.end_us / 1e6) for s in segments]


def official_spans(network: Any, wave: Wave) -> list[tuple[float, float]]:
    import torch
    from silero_vad import get_speech_timestamps

    found = get_speech_timestamps(torch.from_numpy(wave), network)
    return [(f["start"] / SAMPLE_RATE, f["end"] / SAMPLE_RATE) for f in found]


def frame_f1(found: Sequence[tuple[float, float]], reference: Reference) -> float:
    """Of frames of 10 ms in the annotated region."""
    first, last = reference.region
    times = np.arange(round((last - first) * 100)) / 100 + first + 0.005
    said, true = (covered(spans, times) for spans in (found, reference.spans))
    return float(2 * (said & true).sum() / max(said.sum() + true.sum(), 1))


def covered(spans: Sequence[tuple[float, float]], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start) & (times < end)
    return inside


def boundary_error(found: Sequence[tuple[float, float]], reference: Reference) -> list[float]:
    """Seconds from each true start and end to the nearest found one."""
    return [
        min(abs(span[side] - other[side]) for other in found)
        for span in reference.spans
        for side in (0, 1)
        if found
    ]


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """All bars of this file."""
    compare_speech(bars, data)
    count_cut_words(bars, data)
    compare_scenes(bars, quick)


def compare_speech(bars: Bars, data: Path | None) -> None:
    names = {"ami": lambda n: not n.startswith("tenvad"), "tenvad": lambda n: n.startswith("tenvad")}
    if data is None or not (data / "speech_segments").is_dir():
        for name in names:
            bars.long(f"segmentation_gain_{name}", "needs --data with speech_segments")
        return
    network, found, lost = official_network(), list(references(data / "speech_segments")), 0
    for name, belongs in names.items():
        part = [r for r in found if belongs(r.name)]
        sides = {
            "ours": [heard_spans(r.wave) for r in part],
            "silero-vad": [official_spans(network, r.wave) for r in part],
            "what ingest cuts": [ingest_spans(r.wave) for r in part],
        }
        scores = {side: mean_f1(spans, part) for side, spans in sides.items()}
        for side, spans in sides.items():
            errors = [e for s, r in zip(spans, part, strict=True) for e in boundary_error(s, r)]
            print(
                f"{name}, {len(part)} files, {side}: mean frame F1 {scores[side]:.3f}, "
                f"median boundary error {1000 * np.median(errors):.0f} ms"
            )
        bars.bar(f"segmentation_gain_{name}", scores["ours"] - scores["silero-vad"], ">=", 0.0)
        chosen, judged = (
            mean_f1(sides["ours"][half::2], part[half::2])
            - mean_f1(sides["what ingest cuts"][half::2], part[half::2])
            for half in (0, 1)
        )
        print(f"{name}: cutting loses {chosen:.3f} on every second file, {judged:.3f} on the others")
        bars.bar(f"segmentation_cut_loss_{name}", scores["ours"] - scores["what ingest cuts"], "<=", 0.01)
        lost += sum(
            not any(start < end_of and start_of < end for start_of, end_of in cut)
            for heard_in, cut in zip(sides["ours"], sides["what ingest cuts"], strict=True)
            for start, end in heard_in
        )
    bars.bar("segmentation_lost", lost, "<=", 0)


def mean_f1(spans: Sequence[Sequence[tuple[float, float]]], part: Sequence[Reference]) -> float:
    return float(np.mean([frame_f1(s, r) for s, r in zip(spans, part, strict=True)]))


def count_cut_words(bars: Bars, data: Path | None) -> None:
    told, deaf = 0, 0
    recordings = [*spoken_examples(), *(spoken_files(data) if data else [])]
    wave, transcript = talk_of(recordings)
    words = [w for cue in transcript.cues for w in cue.words]
    end_us = len(wave) * 1_000_000 // SAMPLE_RATE
    speech = heard(wave)
    cuts = 0
    for lengths in (LengthRules(), LengthRules(0.5, 3.0), LengthRules(0.5, 1.5)):
        known = utterances(speech, transcript, lengths, end_us)
        cuts += 2 * len(known)
        told += inside_words(known, words)
        deaf += inside_words(utterances(speech, None, lengths, end_us), words)
    print(f"{len(words)} words, {cuts} ends of utterances; by ear alone {deaf} would lie in a word")
    bars.bar("segmentation_cuts_in_words", told, "<=", 0)


def inside_words(found: Sequence[Segment], words: Sequence[Word]) -> int:
    """How many ends lie inside a word."""
    starts = [w.start_us for w in words]
    edges = [edge for s in found for edge in (s.start_us, s.end_us)]
    hits = [(edge, bisect_left(starts, edge) - 1) for edge in edges]
    return sum(n >= 0 and edge < words[n].end_us for edge, n in hits)


def spoken_examples() -> Iterator[tuple[Wave, str]]:
    """The example videos and what is said in them."""
    for path in sorted(VIDEOS.glob("grid_*.mpg")):
        (cue,) = read_transcript(path.with_suffix(".srt"), path).cues
        yield decode_audio(path).wave, cue.text


def spoken_files(data: Path) -> Iterator[tuple[Wave, str]]:
    """The recordings of DIR/speech_transcripts and their texts."""
    import soundfile
    import soxr

    table = data / "speech_transcripts" / "transcripts.csv"
    if not table.is_file():
        return
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        wave, rate = soundfile.read(table.parent / row["file"], dtype="float32", always_2d=True)
        yield soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE), row["transcript"]


def talk_of(recordings: Sequence[tuple[Wave, str]]) -> tuple[Wave, Transcript]:
    """One after the other without a pause, as a recogniser would write them down."""
    cues, at = [], 0
    for wave, text in recordings:
        words = spread(wave, text, at)
        cues.append(Cue(words[0].start_us, words[-1].end_us, text, text, words=tuple(words)))
        at += len(wave) * 1_000_000 // SAMPLE_RATE
    return np.concatenate([wave for wave, _ in recordings]), Transcript(tuple(cues), "asr")


def spread(wave: Wave, text: str, at_us: int) -> list[Word]:
    """Words over what is not silent in a recording, each as long as it has letters."""
    level = np.sqrt(block_power(wave))
    loud = np.flatnonzero(level > level.max() / 30)
    step = 512 * 1_000_000 // SAMPLE_RATE
    said = text.split() if " " in text else list(text)
    ends = np.cumsum([len(word) for word in said]) / sum(len(word) for word in said)
    edges = [0, *(ends * len(loud)).astype(int)]
    # From its first frame that sounds to its last: the silence between two words is in neither.
    return [
        Word(word, at_us + int(loud[a]) * step, at_us + int(loud[b - 1] + 1) * step, guessed=True)
        for word, (a, b) in zip(said, pairwise(edges), strict=True)
        if a < b
    ]


def compare_scenes(bars: Bars, quick: bool) -> None:
    seconds = 30 if quick else 120
    with tempfile.TemporaryDirectory() as folder:
        peer, video = Path(folder, "peer"), make_talk(Path(folder), seconds)
        # Beside the project, whose OpenCV its own requirements would replace.
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", peer, PEER]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            bars.long("segmentation_vs_scenedetect", f"needs {PEER} from pip")
            return
        rounds = [
            (cpu(lambda: by_ear(video)), cpu(lambda: by_eye(video, seconds)), detect_content(peer, video))
            for _ in range(3 if quick else 5)
        ]
    ear, eye, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"CPU of finding utterances: by ear {ear:.2f} s, scenes {eye:.2f} s "
        f"({eye / theirs:.3f} of detect-content), detect-content {theirs:.2f} s"
    )
    bars.bar("segmentation_vs_scenedetect", ear / theirs, "<=", 0.15)


def by_ear(video: Path) -> None:
    heard_all = decode_audio(video)
    utterances(heard(heard_all.wave), None, LengthRules(), heard_all.end_us)


def by_eye(video: Path, seconds: int) -> None:
    footage = Footage(np.zeros(0, np.float32), seconds * 1_000_000, pictures=lambda: keyframes(video))
    Scenes().segment(footage, LengthRules())


def cpu(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def detect_content(peer: Path, video: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", DETECT, video],
        check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(peer)},
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def make_talk(folder: Path, seconds: float) -> Path:
    """The example videos at 640x360 one after the other, again and again."""
    import imageio_ffmpeg

    clips = sorted(VIDEOS.glob("grid_*.mpg"))
    shapes = "".join(
        f"[{n}:v]scale=640:360,setsar=1,fps=25[v{n}];[{n}:a]aresample=44100[a{n}];" for n in range(len(clips))
    )
    chain = "".join(f"[v{n}][a{n}]" for n in range(len(clips))) + f"concat=n={len(clips)}:v=1:a=1[v][a]"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y"]
    inputs = [part for clip in clips for part in ("-i", str(clip))]
    unit, talk = folder / "unit.mp4", folder / "talk.mp4"
    graph = [
        "-filter_complex",
        shapes + chain,
        "-map",
        "[v]",
        "-map",
        "[a]",
        "-ac",
        "1",
        "-preset",
        "veryfast",
    ]
    for command in (
        [*inputs, *graph, str(unit)],
        ["-stream_loop", "-1", "-i", str(unit), "-t", str(seconds), "-c", "copy", str(talk)],
    ):
        subprocess.run([*ffmpeg, *command], check=True, stdin=subprocess.DEVNULL)
    return talk
