"""What the checks on pictures find in named real clips and in planted faults, and what all checks cost.

    python -m benchmarks._ingest_checks [--data DIR] [--quick] [--json FILE]

- check_cost_vs_decode: CPU seconds of looking at every sample of the talk and measuring all checks / those of
  decoding the talk once;
- check_cost_of_copies_vs_decode: the same where packets are copied, which decodes key pictures alone: what
  looking at them adds / decoding the talk once;
- check_NAME_precision, check_NAME_recall: of finding what is wrong, over samples of at most four seconds,
  with the limits that stand in `LIMITS`. Judged are the clips of DIR/talking_videos that are no examples;
  without --data, the examples. Limits were set on the examples, but which motion is compared with the voice
  was chosen on both, and that no texture of these clips counts as text was watched while the limits of
  lettering were set: its precision is that of a development set. Fonts and sentences are others.

Planted: two clips side by side, the voice of another clip or one and a half seconds off, a picture that
stands still or turns black half-way, and lines of text in three sizes, four styles and two scripts.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.ingest.measure import measure as measure_all
from annotate.media.audio import SAMPLE_RATE, decode_audio, piece
from annotate.media.audio_fingerprint import audio_fingerprint
from annotate.media.frame_sampling import FrameSampler
from annotate.registry import CHECKS
from annotate.types import FrameSample, Observed, Segment
from benchmarks._bars import Bars, arguments

Pictures = list[NDArray[np.uint8]]
"""(height, width, 3) RGB each."""

FPS = 25
LONGEST = 4
"""Seconds of each clip."""
LARGEST = 640
"""Pixels of the longer side."""
LIMITS = {
    "face": (0.5, None),
    "one-face": (0.8, None),
    "mouth-moves-with-voice": (0.2, None),
    "burnt-in-text": (None, 0.3),
    "frozen": (None, 0.4),
    "black": (None, 0.3),
}
"""(least, most) that passes."""
NO_FACE = ("autoeditor_voice_noface_42s", "edge_no_face")
LETTERED = ("autoeditor_voice_noface_42s",)
"""Shows a running time code at the bottom."""
UNSURE = ("edge_no_face", "edge_face_then_none_hevc")
"""Their cartoon title moves through the picture: text, but no subtitle; not judged for lettering."""
MUTE = ("edge_face_silent_audio", "edge_face_no_audio_stream")
TWINS = ("openvna_reasr_noised",)
"""The same footage as another clip, some pictures of it turned negative."""


@dataclass(frozen=True)
class Clip:
    """The start of a real clip."""

    name: str
    pictures: Pictures
    wave: NDArray[np.float32]

    @property
    def talks(self) -> bool:
        """Whether it shows a face that speaks."""
        return self.name not in (*NO_FACE, *MUTE, *TWINS, "edge_face_then_none_hevc")


def read(path: Path, longest: float = LONGEST) -> Clip:
    """Even pictures at 25 a second."""
    import av

    pictures: Pictures = []
    with av.open(str(path)) as source:
        start = None
        has_sound = bool(source.streams.audio)
        for frame in source.decode(video=0):
            start = frame.time if start is None else start
            if frame.time - start >= longest:
                break
            while len(pictures) / FPS <= frame.time - start + 1e-6:
                scale = min(1.0, LARGEST / max(frame.width, frame.height))
                size = (int(side * scale) // 2 * 2 for side in (frame.width, frame.height))
                pictures.append(frame.reformat(*size, "rgb24").to_ndarray())
    seconds = len(pictures) / FPS
    wave = decode_audio(path).wave if has_sound else np.zeros(0, np.float32)
    return Clip(path.stem, pictures, np.resize(wave, round(seconds * SAMPLE_RATE)) if len(wave) else wave)


def observed(pictures: Pictures, wave: NDArray[np.float32]) -> Observed:
    """What is seen in pictures once they are encoded and decoded, as all footage is."""
    seconds = len(pictures) / FPS
    segment = Segment(0, round(seconds * 1e6))
    return Observed(segment, wave, ((0, segment.end_us),), frame_samples(pictures))


def frame_samples(pictures: Pictures) -> tuple[FrameSample, ...]:
    import av

    sampler = FrameSampler()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as target:
            stream = target.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
            stream.width, stream.height = pictures[0].shape[1] // 2 * 2, pictures[0].shape[0] // 2 * 2
            stream.codec_context.thread_count = 1
            for n, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(picture[: stream.height, : stream.width])
                )
                frame.pts, frame.time_base = n, Fraction(1, FPS)
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        with av.open(str(path)) as source:
            for n, frame in enumerate(source.decode(video=0)):
                sampler.add(frame, round(n * 1e6 / FPS))
    return sampler.frame_samples()


def beside(one: Pictures, other: Pictures) -> Pictures:
    """Both in one picture, as in an interview."""
    import cv2

    height = min(one[0].shape[0], other[0].shape[0], 360) // 2 * 2
    sides = [
        [cv2.resize(p, (p.shape[1] * height // p.shape[0] // 2 * 2, height)) for p in pictures]
        for pictures in (one, other)
    ]
    return [np.hstack(pair) for pair in zip(*sides, strict=False)]


def still(pictures: Pictures) -> Pictures:
    """Stopped at its middle."""
    half = len(pictures) // 2
    return pictures[:half] + [pictures[half]] * (len(pictures) - half)


def blackened(pictures: Pictures) -> Pictures:
    """Black from its middle on."""
    half = len(pictures) // 2
    return pictures[:half] + [np.zeros_like(pictures[0])] * (len(pictures) - half)


LATIN = ("She said that nothing would ever change", "Wait, what?", "and so we left the house at nine")
CHINESE = ("他昨天晚上就已經離開北京了", "真的嗎？", "你為什麼不早一點告訴我呢")
STYLES = ("outlined", "yellow", "shadowed", "on a bar")
SIZES = (0.045, 0.06, 0.08)
"""Of the letters, as shares of the picture's height."""


def fonts(size: int) -> list[tuple[object, tuple[str, ...]]]:
    """(font, sentences in its script); without a Chinese font, Latin alone."""
    from PIL import ImageFont

    found: list[tuple[object, tuple[str, ...]]] = [(ImageFont.load_default(size), LATIN)]
    for folder in map(Path, sys.path):
        for path in sorted(folder.glob("cvttf_NotoSansCJK_*/*.otf"))[:1]:
            found.append((ImageFont.truetype(str(path), size), CHINESE))
    return found


def subtitled(pictures: Pictures, size: float, style: str, script: int, sentence: int) -> Pictures | None:
    """With a line of text at the bottom; None without a font of that script."""
    from PIL import Image, ImageDraw

    height, width = pictures[0].shape[:2]
    known = fonts(max(9, round(size * height)))
    if script >= len(known):
        return None
    font, sentences = known[script]
    text = sentences[sentence % len(sentences)]
    layer = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(layer)
    while draw.textlength(text, font=font) > 0.94 * width:  # type: ignore[arg-type]
        text = text[:-1]
    left, top = (width - draw.textlength(text, font=font)) / 2, height * (0.94 - 1.25 * size)  # type: ignore[arg-type]
    ink = (255, 225, 60) if style == "yellow" else (250, 250, 250)
    if style == "on a bar":
        draw.rectangle(
            (left - 8, top - 4, width - left + 8, top + 1.3 * size * height), fill=(10, 10, 10, 190)
        )
    if style == "shadowed":
        draw.text((left + 2, top + 2), text, font=font, fill=(0, 0, 0))  # type: ignore[arg-type]
    edge = max(1, round(size * height / 14)) if style in ("outlined", "yellow") else 0
    draw.text((left, top), text, font=font, fill=ink, stroke_width=edge, stroke_fill=(0, 0, 0))  # type: ignore[arg-type]
    drawn = np.asarray(layer, np.float32)
    cover = drawn[..., 3:] / 255
    return [np.asarray(p * (1 - cover) + drawn[..., :3] * cover, np.uint8) for p in pictures]


Case = tuple[str, Observed, bool]
"""(what it is, what is known of it, whether something is wrong with it)."""


def face_cases(clips: Sequence[Clip]) -> Iterator[Case]:
    for clip in clips:
        if clip.name != "edge_face_then_none_hevc":
            yield clip.name, observed(clip.pictures, clip.wave), clip.name in NO_FACE
        elif len(clip.pictures) > 90:
            yield clip.name + " (end)", observed(clip.pictures[75:], clip.wave), True


def one_face_cases(clips: Sequence[Clip]) -> Iterator[Case]:
    yield from face_cases(clips)
    talks = [clip for clip in clips if clip.talks]
    for one, other in zip(talks, talks[1:] + talks[:1], strict=True):
        if one is not other:
            pictures = beside(one.pictures, other.pictures)
            yield f"{one.name} + {other.name}", observed(pictures, one.wave), True


def mouth_cases(clips: Sequence[Clip]) -> Iterator[Case]:
    """Own voice, another's, and the own one 1.5 s off."""
    talks = [clip for clip in clips if clip.talks]
    voices = talks[1:] + talks[:1]
    faces = [*talks, *(clip for clip in clips if clip.name in MUTE)]
    for clip, voice in zip(faces, cycle(voices)):
        seen = observed(clip.pictures, clip.wave)

        def spoken(wave: NDArray[np.float32], seen: Observed = seen) -> Observed:
            return Observed(seen.segment, wave, seen.speech, seen.frame_samples)

        yield f"{clip.name} with {voice.name}", spoken(np.resize(voice.wave, len(clip.pictures) * 640)), True
        if clip.talks:
            yield clip.name, seen, False
            yield f"{clip.name}, late", spoken(np.roll(clip.wave, 3 * SAMPLE_RATE // 2)), True


def lettering_cases(clips: Sequence[Clip]) -> Iterator[Case]:
    if len(fonts(9)) < 2:
        print("burnt-in-text: Latin lines alone; for Chinese ones pip install cvttf-notosanscjk-bold")
    looks = iter(cycle([(size, style) for style in STYLES for size in SIZES]))
    for n, clip in enumerate(clips):
        if clip.name in UNSURE:
            continue
        yield clip.name, observed(clip.pictures, clip.wave), clip.name in LETTERED
        for script in (0, 1) if clip.name not in LETTERED else ():
            for k, (size, style) in enumerate(islice(looks, 2)):
                made = subtitled(clip.pictures[:75], size, style, script, n + k)
                if made:
                    what = f"{clip.name}, {('latin', 'chinese')[script]} {style} {size}"
                    yield what, observed(made, clip.wave), True


def stopped_cases(clips: Sequence[Clip], spoil: Callable[[Pictures], Pictures]) -> Iterator[Case]:
    for clip in clips:
        # The colour card is a still picture but for its time code.
        if clip.name not in LETTERED:
            yield clip.name, observed(clip.pictures, clip.wave), False
            yield clip.name + ", spoilt", observed(spoil(clip.pictures), clip.wave), True


def compare(bars: Bars, name: str, cases: Iterator[Case], least: float) -> None:
    """Precision and recall of finding what is wrong."""
    low, high = LIMITS[name]
    check = CHECKS.get(name)()
    right = wrong = missed = fine = unknown = 0
    values: dict[bool, list[float]] = {False: [], True: []}
    for what, seen, bad in cases:
        value = check.measure(seen)
        assert not isinstance(value, str)
        refused = value is not None and (
            (low is not None and value < low) or (high is not None and value > high)
        )
        unknown += value is None
        if value is not None:
            values[bad].append(value)
        right, fine = right + (refused and bad), fine + (not refused and not bad)
        wrong, missed = wrong + (refused and not bad), missed + (bad and not refused)
        if refused != bad:
            print(f"  {name}: {'missed' if bad else 'wrongly refused'}: {what} ({value})")
    print(
        f"{name}: {right} found, {missed} missed, {wrong} wrongly refused, {fine} rightly passed; "
        f"{unknown} could not be told"
    )
    sign = 1 if low is not None else -1
    pairs = [sign * (good - bad) > 0 for good in values[False] for bad in values[True]]
    if pairs:
        print(f"{name}: of a sound and a spoilt sample the sound one is better in {np.mean(pairs):.0%}")
    bars.bar(f"check_{name}_precision", right / max(right + wrong, 1), ">=", least)
    bars.bar(f"check_{name}_recall", right / max(right + missed, 1), ">=", least)


def clips_of(data: Path | None, quick: bool) -> list[Clip]:
    """Those that the limits were not set on; without data, the examples."""
    examples = Path(__file__).parent.parent / "examples" / "videos"
    folder = data / "talking_videos" if data and (data / "talking_videos").is_dir() else examples
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".mp4", ".mov", ".mpg"))
    if folder != examples:
        paths = [p for p in paths if not p.name.startswith("grid_")]
    print(f"clips: {folder.name}, {len(paths[:: 4 if quick else 1])} files")
    return [read(path, 2 if quick else LONGEST) for path in paths[:: 4 if quick else 1]]


def compare_found(bars: Bars, data: Path | None, quick: bool) -> None:
    clips = clips_of(data, quick)
    compare(bars, "face", face_cases(clips), 0.9)
    compare(bars, "one-face", one_face_cases(clips), 0.9)
    if quick:
        bars.long("check_mouth-moves-with-voice", "two seconds of four clips say nothing of it")
    else:
        compare(bars, "mouth-moves-with-voice", mouth_cases(clips), 0.6)
    compare(bars, "burnt-in-text", lettering_cases(clips), 0.9)
    compare(bars, "frozen", stopped_cases(clips, still), 0.9)
    compare(bars, "black", stopped_cases(clips, blackened), 0.9)


def compare_cost(bars: Bars, quick: bool) -> None:
    from benchmarks.ingest import in_turns, make_talk, make_unit, our_copy, utterances

    with tempfile.TemporaryDirectory() as folder:
        talk = make_talk(make_unit(Path(folder)), "talk", 1 if quick else 10)
        segments, heard = utterances(talk), decode_audio(talk)
        rounds = 3 if quick else 5
        speech = tuple((s.start_us, s.end_us) for s in segments)

        def look() -> None:
            for segment, seen in zip(segments, watch(talk, segments), strict=True):
                wave = piece(heard.wave, SAMPLE_RATE, (segment.start_us, segment.end_us))
                measure_all(Observed(segment, wave, speech, seen, 0.001))
                audio_fingerprint(wave)

        def copied() -> None:
            our_copy(talk, segments, Path(folder) / "copies", look=True)

        look()
        plain, full, copy, blind = in_turns(
            [
                lambda: watch(talk, ()),
                look,
                copied,
                lambda: our_copy(talk, segments, Path(folder) / "copies"),
            ],
            rounds,
        )
    print(f"decoding {plain.cpu:.2f} s, with all checks {full.cpu:.2f} s CPU")
    print(f"copying packets {blind.cpu:.2f} s, and looking at key pictures {copy.cpu:.2f} s CPU")
    # The talk is small (640x360), its samples are short, and two networks (faces, text) run on each of them.
    bars.bar("check_cost_vs_decode", (full.cpu - plain.cpu) / plain.cpu, "<=", 3.0)
    bars.bar("check_cost_of_copies_vs_decode", (copy.cpu - blind.cpu) / plain.cpu, "<=", 1.25)


def watch(talk: Path, segments: Sequence[Segment]) -> list[tuple[FrameSample, ...]]:
    """Decode it all, and look at the segments."""
    import av

    samplers, at = [FrameSampler() for _ in segments], 0
    with av.open(str(talk)) as source:
        source.streams.video[0].codec_context.thread_count = 1
        for frame in source.decode(video=0):
            time_us = round((frame.time or 0) * 1e6)
            while at < len(segments) and segments[at].end_us <= time_us:
                at += 1
            if at < len(segments) and segments[at].start_us <= time_us:
                samplers[at].add(frame, time_us)
    return [sampler.frame_samples() for sampler in samplers]


def measure(bars: Bars, data: Path | None, quick: bool) -> None:
    """All bars of the checks."""
    compare_cost(bars, quick)
    compare_found(bars, data, quick)


def main() -> int:
    """The checks alone."""
    options = arguments(__doc__ or "").parse_args()
    bars = Bars()
    measure(bars, options.data, options.quick)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
