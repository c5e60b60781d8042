"""Import a corpus made elsewhere: its samples, splits, labels and features, without clips."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotate.datasets.import_features import WrittenFeatures, write_features
from annotate.datasets.import_samples import ImportPlan, make_plan, store_samples
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
"""Characters that the name of a corpus may not contain, because they separate it from what follows."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import changed."""

    corpus: str
    samples: int
    """Samples of this corpus now."""
    new: int
    """Samples of this corpus that were not there before."""
    retired: int
    """Samples that the corpus no longer has."""
    answers: Mapping[str, int]
    """Answers that are new, changed, taken back and unchanged."""
    labels: Mapping[str, int]
    """Labels of the whole project, by task."""
    splits: Mapping[Split, int]
    """Samples of the whole project per split."""
    features: Mapping[str, str]
    """By modality: how many samples have features, and how wide they are."""
    warnings: list[str]
    seconds: float
    next: str


def import_table(  # noqa: PLR0913 - one per option
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
    """Import a CSV, Parquet or ``.npz`` table with features of ``.npz`` files. Safe to run again.

    `flags` are fields of `TableMap`, and override the TOML file `mapping`. `into` names a corpus that was
    imported before: then only answers about its samples are read. `regroup` assigns new splits.
    `memory_gb` (1e9 bytes) is the memory that the table and the arrays may take each.

    Raises `UsageError` for contradictory options, `CorpusError` for content that cannot be used,
    `ConfigError` where annotate.toml takes features from clips, and `ProjectBusy`.
    """
    started = time.monotonic()
    names = read_map(mapping, flags or {})
    source = TableSource(table, features, names, memory_gb)
    if into is not None and (names.describes_samples() or features):
        raise UsageError(
            "--into adds answers about samples that exist, and changes nothing else about them",
            hint="name only --id, --label or --count, and --rater, --votes or --modality",
        )
    if into is not None and not (names.label or names.count):
        raise UsageError(
            "--into adds answers, but no column of answers is named",
            hint="say --label TASK=COLUMN, or --count TASK:ANSWER=COLUMN",
        )
    corpus = read_table(source, project.settings.tasks())
    return _store(project, corpus, _corpus_name(name, table), into, regroup, progress, started)


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
    """Import the feature pickle that MMSA trains on. Safe to run again.

    `dimension` is the dimension of its labels. Raises as `import_table` does.
    """
    started = time.monotonic()
    with read_mmsa(file, project.settings.tasks(), dimension, memory_gb) as corpus:
        return _store(project, corpus, _corpus_name(name, file), None, regroup, progress, started)


def _corpus_name(option: str | None, file: Path) -> str:
    name = option or file.stem
    if not name or len(name) > 64 or any(c in name for c in FORBIDDEN) or not name.isprintable():
        raise UsageError(
            f"a corpus cannot be called {name!r}", hint="say --name, 1 to 64 characters without : and #"
        )
    return name


def _store(
    project: Project, corpus: Corpus, source: str, into: str | None, regroup: bool, progress: Progress,
    started: float,
) -> ImportReport:  # fmt: skip
    """Write features first, as files that no row refers to yet; then everything else in one transaction."""
    if into is None:
        _require_settings(project, corpus)
    with project.writing():
        with reading(project.engine) as session:
            plan = make_plan(
                session, project.settings, corpus, into or source, adds=into is None, regroup=regroup
            )
        written = WrittenFeatures([], {}, [])
        if into is None:
            written = write_features(project, corpus, plan.ids, progress)
        warnings = list(corpus.notes)
        unextracted = project.settings.features.text == IMPORTED and Modality.TEXT not in corpus.features
        if into is None and unextracted and any(utterance.text for utterance in corpus.utterances):
            warnings.append(
                'no model learns from the text: set text = "char-hash" under [features], then run '
                "`annotate extract`"
            )
        warnings += [*plan.warnings, *written.warnings]
        with writing(project.engine) as session, progress.bar("storing", None) as bar:
            if into is None:
                warnings += store_samples(session, project.settings, plan)
                imports.put_shards(session, written.shards)
            bar.advance(len(plan.samples), "answers")
            about = {"file": corpus.file, "sha256": corpus.sha256}
            # A table with the name of the corpus must not replace the answers of the corpus itself.
            name = f"{source}#" if source == into else source
            answers = imports.put_answers(
                session,
                imports.Source(name, corpus.sha256, plan.known, corpus.tasks),
                (
                    imports.ImportedAnswer(plan.ids[vote.position], vote.task_id, vote.rater, vote.value)
                    for vote in corpus.votes
                    if plan.ids[vote.position]
                ),
                about,
            )
            warnings += [
                f"{counted(n, 'answer')} to {task_id} that {source!r} gave before "
                f"{either(n, 'stays', 'stay')}, because this import does not cover it; "
                f"empty cells of a column --label {task_id}=COLUMN take them back"
                for task_id, n in sorted(answers.kept.items())
            ]
            bar.advance(len(corpus.votes), "labels")
            rebuild_labels(session, project.settings.tasks(), answers.touched)
            if answers.touched or plan.new or plan.retired or written.shards:
                videos.add_event(session, "import", {"corpus": plan.corpus, **about})
    return _report(project, plan, answers, written, warnings, time.monotonic() - started)


def _require_settings(project: Project, corpus: Corpus) -> None:
    """Raise `ConfigError` where annotate.toml takes features from clips instead of the corpus."""
    extractors = project.settings.features
    needed = [m for m in UNIMODAL if m is not Modality.TEXT or m in corpus.features]
    wrong = [m for m in needed if extractors.extractor(m) != IMPORTED]
    if wrong:
        lines = "\n".join(f'{m.word} = "{IMPORTED}"' for m in wrong)
        named = ", ".join(f"features.{m.word} is {extractors.extractor(m)!r}" for m in wrong)
        raise ConfigError(
            f"{named}, but imported samples have no clips and bring their own features",
            hint=f"write into annotate.toml, under [features]\n{lines}",
        )


def _report(
    project: Project,
    plan: ImportPlan,
    answers: imports.Answers,
    written: WrittenFeatures,
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
        retired=len(plan.retired),
        answers={
            "new": answers.new, "changed": answers.changed, "taken_back": answers.taken_back,
            "unchanged": answers.unchanged,
        },
        labels={task.id: counts.get(task.id, 0) for task in project.settings.tasks()},
        splits=splits,
        features=written.summary,
        warnings=warnings,
        seconds=round(seconds, 2),
        next="annotate extract" if extracted else "annotate train",
    )  # fmt: skip
