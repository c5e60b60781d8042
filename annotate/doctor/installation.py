"""Checks of the installation: the interpreter, the packages, and the programs and networks they bring."""

import platform
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec

from annotate.doctor.findings import Finding, State
from annotate.errors import AnnotateError

DISTRIBUTION = "annotate-clips"
OUR_NAMES = ("annotate", "db", "strategies", "exporters", "cli")
REINSTALL = f"pip install --force-reinstall --no-deps {{}} in the environment of {DISTRIBUTION}"


def python() -> Finding:
    """Which interpreter runs; pip refuses one that is too old."""
    return Finding(State.OK, f"{platform.python_version()} at {sys.executable}")


def packages(owners: Mapping[str, Sequence[str]] | None = None) -> Finding:
    """Nobody else installed a package under one of our five top-level names."""
    owners = metadata.packages_distributions() if owners is None else owners
    foreign = {
        name: sorted({o for o in owners.get(name, ()) if o.lower().replace("_", "-") != DISTRIBUTION})
        for name in OUR_NAMES
    }
    owned = "; ".join(f"{name} also belongs to {', '.join(who)}" for name, who in foreign.items() if who)
    if owned:
        return Finding(
            State.FAIL,
            owned,
            f"install {DISTRIBUTION} alone, for example with pipx, in an environment of its own",
        )
    return Finding(State.OK, "no other distribution owns our package names")


def sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """SQLite before 3.51.3 can corrupt a WAL database that two connections checkpoint at once."""
    name = ".".join(map(str, version))
    fixed = version >= (3, 53) or any(
        first <= version < last
        for first, last in (((3, 51, 3), (3, 52)), ((3, 50, 7), (3, 51)), ((3, 44, 6), (3, 45)))
    )
    if fixed or version < (3, 7):
        return Finding(State.OK, name)
    return Finding(
        State.WARN,
        f"{name} has the WAL-reset bug; one writing command at a time (our lock) avoids it",
        "open annotate.db with no other program while a command runs; or use Postgres, or SQLite 3.51.3",
    )


def gpu() -> Finding:
    """Whether training can use CUDA."""
    from annotate.learning.device import choose_device

    if choose_device("auto") == "cpu":
        return Finding(State.WARN, "torch sees no GPU; the CPU is used, which is enough for small corpora")
    return Finding(State.OK, "torch sees a GPU")


def ffmpeg() -> Finding:
    """The program that came with imageio-ffmpeg runs."""
    import imageio_ffmpeg

    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        shown = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding(State.FAIL, f"ffmpeg does not run: {error}", REINSTALL.format("imageio-ffmpeg"))
    return Finding(State.OK, " ".join(shown.stdout.split()[:3]))


def codecs() -> Finding:
    """PyAV can write what browsers play."""
    import av

    missing = [name for name in ("libx264", "aac") if name not in av.codecs_available]
    if missing:
        return Finding(State.FAIL, f"PyAV lacks {', '.join(missing)}", REINSTALL.format("av"))
    return Finding(State.OK, f"PyAV {av.__version__} writes H.264 and AAC")


def scikit_learn() -> Finding:
    """modAL's `teach` works with the installed scikit-learn, which modAL itself no longer follows."""
    version = metadata.version("scikit-learn")
    try:
        import numpy as np
        from modAL.models import ActiveLearner
        from sklearn.dummy import DummyClassifier

        from annotate.modal import repair_teach

        repair_teach()
        learner = ActiveLearner(DummyClassifier(), X_training=np.zeros((1, 1)), y_training=np.zeros(1))
        learner.teach(np.ones((1, 1)), np.ones(1))  # another class than the one it has learned
    except Exception as error:  # whatever a newer scikit-learn makes of modAL's calls
        return Finding(
            State.WARN, f"{version}: modAL's `teach` fails: {error}", "pip install 'scikit-learn<1.10'"
        )
    return Finding(State.OK, f"{version}, modAL's `teach` works with it")


def face_detector() -> Finding:
    """The network that finds faces is installed and runs."""
    import cv2
    import numpy as np

    from annotate.yunet import search

    try:
        faces = search(np.full((64, 64, 3), 90, np.uint8))
    except (AnnotateError, cv2.error, AttributeError) as error:
        return Finding(State.FAIL, f"faces cannot be found: {error}", REINSTALL.format(DISTRIBUTION))
    if faces:
        return Finding(State.FAIL, "YuNet sees a face in an empty picture", REINSTALL.format(DISTRIBUTION))
    return Finding(State.OK, f"YuNet loads (OpenCV {cv2.__version__})")


def text_detector() -> Finding:
    """The network that finds burnt-in text is installed and runs."""
    import numpy as np

    from annotate.media.onscreen_text import lines

    try:
        text_lines = lines(np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8))
    except (AnnotateError, ImportError, RuntimeError) as error:
        return Finding(State.FAIL, f"burnt-in text cannot be found: {error}", REINSTALL.format("rapidocr"))
    if text_lines:
        return Finding(State.FAIL, "the text detector sees text in noise", REINSTALL.format("rapidocr"))
    return Finding(State.OK, f"PP-OCRv6 loads (rapidocr {metadata.version('rapidocr')})")


def speech_detector() -> Finding:
    """The voice-activity network loads with the weights this program was tested with, and finds no speech in
    silence."""
    import numpy as np

    from annotate.segmenters.silero_vad import FRAME, speech_probability

    if speech_probability(np.zeros(FRAME, np.float32)).max() > 0.5:
        return Finding(State.FAIL, "silero-vad finds speech in silence", REINSTALL.format("silero-vad"))
    return Finding(State.OK, f"silero-vad {metadata.version('silero-vad')} loads, weights unchanged")


def pretrained() -> Finding:
    """Whether the pretrained extractors can be used; they are optional."""
    if find_spec("transformers") is None:
        return Finding(
            State.OK, "not installed; the built-in extractors do not need it", "pip install '.[pretrained]'"
        )
    return Finding(State.OK, f"transformers {metadata.version('transformers')}")


INSTALLATION: Mapping[str, Callable[[], Finding]] = {
    "python": python,
    "package names": packages,
    "sqlite": sqlite,
    "gpu": gpu,
    "ffmpeg": ffmpeg,
    "codecs": codecs,
    "scikit-learn": scikit_learn,
    "face detector": face_detector,
    "text detector": text_detector,
    "speech detector": speech_detector,
    "pretrained extra": pretrained,
}
