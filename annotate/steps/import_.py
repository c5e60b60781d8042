"""Start from a corpus that others made: its samples, splits, labels and features, without clips."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.datasets.import_features import Written, write_features
from annotate.datasets.import_samples import Plan, add_to, plan_of
from annotate.errors import ConfigError, UsageError
from annotate.features.imported import IMPORTED
from annotate.importing.corpus import Corpus
from annotate.importing.mapping import read_map
from annotate.importing.mmsa import read_mmsa
from annotate.importing.shared import DEFAULT_MEMORY_GB
from annotate.importing.table import TableSource, read_table
from annotate.labelling.labels import rebuild_labels
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.types import UNIMODAL, Modality, Split
from annotate.wording import counted, either
from db import imports, labels, videos
from db.engine import reading, writing

FORBIDDEN = ":#"
"""In the name of a corpus: they stand between it and what follows."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came in."""

    corpus: str
    samples: int
    """Of this corpus now."""
    new: int
    """Of them, those that were not there before."""
    retired: int
    """That the corpus does not have any more."""
    answers: Mapping[str, int]
    """New, changed and taken back by this import, and unchanged."""
    labels: Mapping[str, int]
    """By task, of the whole project."""
    splits: Mapping[Split, int]
    """Samples of the whole project per split."""
    features: Mapping[str, str]
    """By modality: how many samples' features were stored, and how wide they are."""
    warnings: list[str]
    seconds: float
    next: str


def import_table(  # noqa: PLR0913 - one for each of what is told
    project: Project,
    table: Path,
    *,
    features: Sequence[Path] = (),
    mapping: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    memory_gb: float = DEFAULT_MEMORY_GB,
    name: str | None = None,
    into: str | None = None,
    regroup: bool = False,
    progress: Progress = SILENT,
) -> ImportReport:
    """Bring in a CSV, Parquet or ``.npz`` table, with features of ``.npz`` files; run it again and nothing is
    doubled.

    `flags` are fields of `TableMap`, and overrule the TOML file `mapping`. `into` names a corpus that was
    imported before: then the table brings answers about its samples only. `regroup` gives splits anew.
    `memory_gb` (1e9 bytes) is what the table and the arrays may take each.

    Raises `UsageError` for options that do not fit, `CorpusError` for content that does not, `ConfigError`
    where annotate.toml reads clips, and `ProjectBusy`.
    """
    started = time.monotonic()
    names = read_map(mapping, flags or {})
    source = TableSource(table, features, names, memory_gb)
    if into is not None and (names.tells_samples() or features):
        raise UsageError(
            "--into brings answers about samples that are there, so nothing else of them can be told",
            hint="name only --id, --label or --count, and --rater, --votes or --modality",
        )
    if into is not None and not (names.label or names.count):
        raise UsageError(
            "--into brings answers, and none is named",
            hint="say --label TASK=COLUMN, or --count TASK:ANSWER=COLUMN",
        )
    corpus = read_table(source, project.settings.tasks())
    return _bring_in(project, corpus, _name(name, table), into, regroup, progress, started)


def import_mmsa(
    project: Project,
    file: Path,
    *,
    dimension: str = "",
    memory_gb: float = DEFAULT_MEMORY_GB,
    name: str | None = None,
    regroup: bool = False,
    progress: Progress = SILENT,
) -> ImportReport:
    """Bring in the feature pickle that MMSA trains on; run it again and nothing is doubled.

    `dimension` is what its labels are about. Raises what `import_table` does.
    """
    started = time.monotonic()
    with read_mmsa(file, project.settings.tasks(), dimension, memory_gb) as corpus:
        return _bring_in(project, corpus, _name(name, file), None, regroup, progress, started)


def _name(said: str | None, file: Path) -> str:
    name = said or file.stem
    if not name or len(name) > 64 or any(c in name for c in FORBIDDEN) or not name.isprintable():
        raise UsageError(
            f"a corpus cannot be called {name!r}", hint="say --name, 1 to 64 signs without : and #"
        )
    return name


def _bring_in(
    project: Project, corpus: Corpus, source: str, into: str | None, regroup: bool, progress: Progress,
    started: float,
) -> ImportReport:  # fmt: skip
    """Features first, as files that nobody knows yet; then all else in one transaction."""
    if into is None:
        _require_settings(project, corpus)
    with project.writing():
        with reading(project.engine) as session:
            plan = plan_of(
                session, project.settings, corpus, into or source, adds=into is None, regroup=regroup
            )
        written = Written([], {}, [])
        if into is None:
            written = write_features(project, corpus, plan.ids, progress)
        warnings = [*corpus.notes, *_unread(project, corpus, into), *plan.warnings, *written.warnings]
        with writing(project.engine) as session, progress.bar("storing", None) as bar:
            if into is None:
                warnings += add_to(session, project.settings, plan)
                imports.put_shards(session, written.shards)
            bar.advance(len(plan.samples), "answers")
            about = {"file": corpus.file, "sha256": corpus.sha256}
            answers = imports.put_answers(
                session, _source(corpus, plan, source, into), _said(corpus, plan), about
            )
            warnings += _kept(answers.kept, source)
            bar.advance(len(corpus.votes), "labels")
            rebuild_labels(session, project.settings.tasks(), answers.touched)
            if answers.touched or plan.new or plan.gone or written.shards:
                videos.add_event(session, "import", {"corpus": plan.corpus, **about})
    return _report(project, plan, answers, written, warnings, time.monotonic() - started)


def _source(corpus: Corpus, plan: Plan, name: str, into: str | None) -> imports.Source:
    """What a table says about a corpus of its own name never passes for what the corpus itself says."""
    return imports.Source(f"{name}#" if name == into else name, corpus.sha256, plan.known, corpus.tasks)


def _kept(kept: Mapping[str, int], source: str) -> list[str]:
    return [
        f"{counted(n, 'answer')} to {task_id} that {source!r} gave before "
        f"{either(n, 'stays', 'stay')}, because nothing is said of it here; "
        f"empty cells of a column --label {task_id}=COLUMN take them back"
        for task_id, n in sorted(kept.items())
    ]


def _said(corpus: Corpus, plan: Plan) -> Iterator[imports.Said]:
    for vote in corpus.votes:
        if plan.ids[vote.place]:
            yield imports.Said(plan.ids[vote.place], vote.task_id, vote.rater, vote.value)


def _require_settings(project: Project, corpus: Corpus) -> None:
    """Raise `ConfigError` where annotate.toml takes features from clips, or leaves those that came aside."""
    said = project.settings.features
    needed = [m for m in UNIMODAL if m is not Modality.TEXT or m in corpus.features]
    wrong = [m for m in needed if said.extractor(m) != IMPORTED]
    if wrong:
        lines = "\n".join(f'{m.word} = "{IMPORTED}"' for m in wrong)
        named = ", ".join(f"features.{m.word} is {said.extractor(m)!r}" for m in wrong)
        raise ConfigError(
            f"{named}, but imported samples have no clips and bring their own features",
            hint=f"write into annotate.toml, under [features]\n{lines}",
        )


def _unread(project: Project, corpus: Corpus, into: str | None) -> list[str]:
    """A warning where there are words that nothing reads."""
    imported = project.settings.features.text == IMPORTED
    if into is not None or not imported or Modality.TEXT in corpus.features:
        return []
    if not any(one.text for one in corpus.utterances):
        return []
    return [
        'the words are not learned from: say text = "char-hash" under [features], then `annotate extract`'
    ]


def _report(
    project: Project,
    plan: Plan,
    answers: imports.Answers,
    written: Written,
    warnings: list[str],
    seconds: float,
) -> ImportReport:
    with reading(project.engine) as session:
        counts, splits = labels.count_labels(session), videos.samples_per_split(session)
    extracted = project.settings.features.text != IMPORTED and plan.samples
    return ImportReport(
        corpus=plan.corpus,
        samples=len(plan.samples) or sum(not stored.retired for stored in plan.known.values()),
        new=plan.new,
        retired=len(plan.gone),
        answers={
            "new": answers.new, "changed": answers.changed, "taken_back": answers.taken_back,
            "unchanged": answers.unchanged,
        },
        labels={task.id: counts.get(task.id, 0) for task in project.settings.tasks()},
        splits=splits,
        features=written.told,
        warnings=warnings,
        seconds=round(seconds, 2),
        next="annotate extract" if extracted else "annotate train",
    )  # fmt: skip
