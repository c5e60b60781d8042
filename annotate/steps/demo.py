"""Run the whole loop once on real footage, with scripted raters, so that newcomers see every step."""

import json
import secrets
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from annotate.config.settings import FILE_NAME
from annotate.datasets.replace_export import require_replaceable
from annotate.durable import write_whole
from annotate.errors import ProjectNotFound, SchemaMismatch, UsageError
from annotate.labelling.connection import address
from annotate.labelling.push import MARKER_FILE
from annotate.labelstudio.access import authorization
from annotate.labelstudio.raters import add_rater
from annotate.labelstudio.scripted import ScriptedRater, answer_open_questions
from annotate.permissions import Access, make_folder
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps import studio
from annotate.steps.export import export
from annotate.steps.extract import extract
from annotate.steps.ingest import ingest
from annotate.steps.init import init
from annotate.steps.next_batch import next_batch
from annotate.steps.pull import pull
from annotate.steps.status import status
from annotate.steps.train import train
from annotate.temporary import is_temporary
from annotate.wording import counted
from db import stats
from db.engine import reading
from db.models import QuestionState
from db.outbox import ls_projects

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "videos"
MARKER = ".annotate-demo"
"""Marks a folder that a demo made, which the next one may replace."""
LOGINS = "demo-logins.json"
"""The private file with the passwords of a demo, which are new for each demo."""
NAME, DATASET, FORMAT, DATABASE = "demo", "dataset", "mmsa", "annotate.db"
_OWN = frozenset({
    MARKER, MARKER_FILE, LOGINS, FILE_NAME, DATASET, "media", "features", "models", "studio", "comparisons",
    "simulations", ".annotate.lock", ".studio.lock",
})  # fmt: skip
"""Files that a demo, or a command in its project, makes in the folder."""
FIRST_BATCH, SECOND_BATCH = 6, 4
RATERS = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The steps that ran, the resulting dataset, and the server that still runs."""

    steps: list[Mapping[str, Any]]
    samples: int
    batches: int
    answers: int
    """Number of answers of the scripted raters."""
    labels: Sequence[Mapping[str, Any]]
    """By task, a column per split."""
    dataset: str
    exported: Mapping[str, int]
    """Samples by split."""
    seconds: float
    label_studio: str
    login: str
    password: str
    logins: Sequence[Mapping[str, str]]
    """``login`` and ``password`` of the administrator and of every rater."""
    logins_file: Path
    """Private file with the same logins."""
    stop_it_with: str
    mind: str


@dataclass(frozen=True, slots=True)
class Login:
    """Login of one user of the demo's Label Studio."""

    login: str
    password: str = field(repr=False)


@dataclass
class _StepRunner:
    """Runs steps one after the other and records their results and durations."""

    progress: Progress
    steps: list[Mapping[str, Any]] = field(default_factory=list)

    def run(self, name: str, step: Callable[[], T], summarize: Callable[[T], str]) -> T:
        """Run `step`; `summarize` describes its report in one line."""
        self.progress.say(f"\n$ annotate {name}")
        began = time.monotonic()
        report = step()
        seconds = time.monotonic() - began
        self.steps.append({"step": name, "seconds": round(seconds, 1), "result": summarize(report)})
        self.progress.say(f"  {summarize(report)} ({seconds:.1f} s)")
        return report


def demo(folder: Path, *, videos: Path | None = None, progress: Progress = SILENT) -> DemoReport:
    """Make a project in `folder` and run every step of the loop once.

    A folder of an earlier demo is replaced. Raises `UsageError` for a folder with anything else, or
    without videos.
    """
    footage = videos or EXAMPLES
    if not footage.exists():
        raise UsageError(
            f"there is no {footage}; the examples come with a checkout, not with an installation",
            hint="annotate demo --videos FOLDER-WITH-VIDEOS",
        )
    began = time.monotonic()
    runner = _StepRunner(progress)
    project = _start(folder, runner)
    runner.run(f"ingest {footage.name}", lambda: ingest(project, [footage], progress=progress), _ingested)
    runner.run("extract", lambda: extract(project, progress=progress), lambda r: "features per modality")
    up = runner.run("studio up", lambda: _studio_up(project, progress), lambda r: f"at {r.url}")
    logins = [Login(up.login, up.password), *(Login(email, secrets.token_urlsafe(12)) for email in _emails())]
    content = json.dumps([asdict(login) for login in logins], indent=1).encode()
    write_whole(project.root / LOGINS, content, Access.OWNER.file_mode)  # before any of them can be used
    url, token = address(project)
    raters = []
    for login in logins[1:]:
        rater_token = add_rater(url, token, login.login, login.password)
        raters.append(ScriptedRater(login.login, authorization(url, rater_token, 60)))
    progress.say(f"  the {RATERS} raters of this demo are scripted: their answers mean nothing")
    answers = _round(project, runner, raters, FIRST_BATCH)
    runner.run("train", lambda: train(project, progress=progress), lambda r: f"round {r.round}")
    answers += _round(project, runner, raters, SECOND_BATCH)
    dataset = project.root / DATASET
    done = runner.run(
        f"export {FORMAT} {DATASET}",
        lambda: export(project, format=FORMAT, dest=dataset, progress=progress),
        lambda r: counted(sum(r.samples.values()), "sample"),
    )
    return _report(project, runner, up, logins, answers, done.samples, time.monotonic() - began)


def _start(folder: Path, runner: _StepRunner) -> Project:
    """A new project in `folder`; after a kill at any moment, the next call starts over."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / MARKER).exists():
            raise UsageError(f"{folder} is not empty", hint="name another folder: annotate demo FOLDER")
        _require_only_a_demo(folder)
        if (folder / FILE_NAME).exists():
            studio.down(Project.open(folder))
        for path in folder.iterdir():
            if path.name == MARKER or not _is_of_a_demo(path):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    make_folder(folder, Access.OWNER.folder_mode)
    folder.chmod(Access.OWNER.folder_mode)  # one that was there and empty
    # First, so that a folder with files of a demo always has the marker.
    (folder / MARKER).touch(mode=0o600)
    runner.run(
        f"init {folder.name} --preset ch-sims",
        lambda: init(folder, preset="ch-sims", name=NAME),
        lambda r: ", ".join(r.tasks),
    )
    return Project.open(folder)


def _require_only_a_demo(folder: Path) -> None:
    """Raise `UsageError` when a person put files into the folder of a demo, or answered its questions."""
    elsewhere = "move them away, or name another folder: annotate demo FOLDER"
    foreign = sorted(p.name for p in folder.iterdir() if not _is_of_a_demo(p))
    if foreign:
        raise UsageError(f"{folder} holds files that no demo made, such as {foreign[0]!r}", hint=elsewhere)
    require_replaceable(folder / DATASET, FORMAT, NAME)
    try:
        with reading(Project.open(folder).engine) as session:
            people = sorted({name for name, *_ in stats.annotators(session)} - set(_emails()))
    except (ProjectNotFound, SchemaMismatch):
        return  # killed before there was a database
    if people:
        raise UsageError(
            f"{people[0]} answered questions of the demo in {folder}, and a new demo would replace them",
            hint="name another folder: annotate demo FOLDER",
        )


def _is_of_a_demo(path: Path) -> bool:
    return path.name in _OWN or path.name.startswith(DATABASE) or is_temporary(path)


def _ingested(report: Any) -> str:
    refused = max(report.rejected_samples.values(), default=0)
    more = f"; {refused} or more break a rule, see `annotate explain VIDEO`" if refused else ""
    samples, videos = counted(report.samples, "sample"), counted(report.new, "video")
    return f"{samples} ({report.hours * 3600:.0f} s) of {videos}{more}"


def _studio_up(project: Project, progress: Progress) -> studio.StudioReport:
    """Start Label Studio on the configured port, or on any free one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", project.settings.labelstudio.port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return studio.up(project, port=port, progress=progress)


def _emails() -> list[str]:
    return [f"rater{number}@example.com" for number in range(1, RATERS + 1)]


def _round(project: Project, runner: _StepRunner, raters: list[ScriptedRater], n: int) -> int:
    """One batch: choose, answer the blind passes, pull, answer the multimodal pass, pull."""
    runner.run(
        f"next-batch -n {n}",
        lambda: next_batch(project, n=n, progress=runner.progress),
        lambda r: f"{counted(r.samples, 'sample')} by {r.strategy}, {counted(r.pushed, 'question')} sent",
    )
    url, _ = address(project)
    per_question = min(project.settings.protocol.raters, len(raters))
    answers = 0
    for passes in ("blind passes", "multimodal pass"):
        with reading(project.engine) as session:
            open_projects = ls_projects(session)
            questions = stats.questions(session)
        open_count = sum(n for _, state, n in questions if state == QuestionState.OPEN.name.lower())
        with runner.progress.bar("scripted raters", open_count * per_question) as bar:
            answer = partial(
                answer_open_questions, url, raters, open_projects, project.settings.dimension_list(),
                answered=partial(bar.advance, 1),
            )  # fmt: skip
            answers += runner.run(
                f"(scripted raters, {passes})", answer, lambda count: f"{counted(count, 'answer')} over HTTP"
            )
        runner.run("pull", lambda: pull(project, progress=runner.progress), lambda r: "labels by their mean")
    return answers


def _report(
    project: Project, runner: _StepRunner, up: studio.StudioReport, logins: Sequence[Login], answers: int,
    exported: Any, seconds: float,
) -> DemoReport:  # fmt: skip
    state = status(project)
    # The shell of the user may not have the environment of this program.
    program = "annotate" if shutil.which("annotate") else shlex.quote(sys.argv[0])
    return DemoReport(
        steps=runner.steps,
        samples=sum(state.samples.values()),
        batches=state.batches,
        answers=answers,
        labels=state.labels,
        dataset=str(project.root / DATASET),
        exported=exported,
        seconds=round(seconds, 1),
        label_studio=up.url,
        login=up.login,
        password=up.password,
        logins=[asdict(login) for login in logins],
        logins_file=project.root / LOGINS,
        stop_it_with=f"{program} -C {shlex.quote(str(project.root))} studio down",
        mind="ten utterances and scripted raters show the loop only; the model is of no use",
    )
