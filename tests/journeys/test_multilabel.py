"""A dimension of which several answers may be true at once: from what raters tick to the dataset."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.batch.choosing import choose
from annotate.batch.opening import make_strategy
from annotate.batch.predictions import PoolPredictions
from annotate.corpus.features import feature_names
from annotate.errors import ConfigError, ExportError
from annotate.feature_store import FeatureStore
from annotate.labelling.labels import rebuild_labels
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.labelstudio.convert import parse_annotation
from annotate.labelstudio.interface import NOTHING, labeling_config
from annotate.labelstudio.scripted import scripted_choices
from annotate.project import Project
from annotate.registry import STRATEGIES
from annotate.rounds.find import predict_round
from annotate.rounds.training_data import read_training_data
from annotate.steps.export import export
from annotate.steps.pull import PassReport, pull
from annotate.steps.status import status
from annotate.steps.train import train
from annotate.types import Kind, LabeledSet, Modality, Pool, Split, Task, TaskPrediction, rows_of
from db.annotations import AnnotationLog, Change, Revision
from db.engine import reading, writing
from db.features import add_shard
from db.labels import read_labels
from db.models import Annotation, AnnotationState, Label, QuestionState
from tests.support.factories import add_label, add_sample, add_video
from tests.support.raters import Rater, add_samples, ask, items, ls_project, with_raters
from tests.support.studio import LabelStudio

THEMES = """
[[dimensions]]
name = "themes"
kind = "multilabel"
answers = [
    { value = "work", label = "work" },
    { value = "family", label = "family & home" },
    { value = "money", label = "money" },
]
"""
T = Modality.TEXT
Tick = Callable[[str, Mapping[str, Sequence[str]]], list[Change]]


def with_themes(project: Project, content: str = THEMES) -> Project:
    """The same project, asking for themes too."""
    path = project.root / "annotate.toml"
    path.write_text(path.read_text(encoding="utf-8") + content, encoding="utf-8")
    opened = Project.open(project.root)
    opened.__dict__["engine"] = project.engine
    return opened


@pytest.fixture
def themed(each_project: Project) -> Project:
    """A project of sentiment and themes, judged from the words alone, on SQLite and on Postgres."""
    return with_raters(with_themes(each_project), 2, (T,))


def page_sends(sentiment: str, *ticks: str) -> list[dict[str, Any]]:
    """What the page sends when a form is submitted."""
    said = {"sentiment": [sentiment], "themes": list(ticks)}
    return [
        {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": choices}}
        for name, choices in said.items()
        if choices
    ]


def judge(project: Project, said: Mapping[str, Sequence[str]], second: int = 0) -> list[Change]:
    """Each rater ticks themes of the one sample that is asked, in second `second` of the day."""
    changes = []
    with writing(project.engine) as session:
        item = next(iter(items(project).values()))
        log = AnnotationLog(session, [item])
        for number, (rater, ticks) in enumerate(said.items()):
            raw = {
                "id": number, "task": 7, "completed_by": 2, "was_cancelled": False, "lead_time": 2.0,
                "created_at": "2026-01-02T03:04:05Z", "updated_at": f"2026-01-02T03:05:{second:02}Z",
                "result": page_sends("0", *ticks),
            }  # fmt: skip
            read = parse_annotation(raw, project.settings.dimension_list())
            values = {f"{name}.T": alias for name, alias in read.answers.items()}
            revision = Revision(
                server="s", number=number, ls_task_id=7, revision=read.revision, rater=rater, named=True,
                editor="", created_at=read.created_at, changed_at=read.changed_at, seconds=read.seconds,
                skipped=read.skipped, values=values, raw=raw,
            )  # fmt: skip
            changes.append(log.add(item, revision, [task.id for task in project.settings.tasks(T)]))
        rebuild_labels(session, project.settings.tasks(), [item.sample_id])
    return changes


def themes(project: Project) -> tuple[float | str, dict[str, float], int] | None:
    with reading(project.engine) as session:
        found = [label for label in read_labels(session) if label.task_id == "themes.T"]
    return (found[0].value, dict(found[0].distribution), found[0].raters) if found else None


def exported(folder: Path) -> list[dict[str, Any]]:
    lines = "".join((folder / f"{split.value}.jsonl").read_text(encoding="utf-8") for split in Split)
    return [json.loads(line)["labels"]["themes.T"] for line in lines.splitlines()]


# What goes wrong


def test_an_answer_that_reads_like_none_of_these_is_told_before_anything_is_sent(project: Project) -> None:
    bad = with_themes(project, THEMES.replace('label = "money"', f'label = "{NOTHING.label}"'))
    with pytest.raises(ConfigError, match=NOTHING.label):
        labeling_config(T, bad.settings.dimension_list())


def test_who_ticks_none_of_these_and_something_has_said_nothing_of_it(themed: Project) -> None:
    ask(themed, add_samples(themed, 1))
    assert judge(themed, {"ann": [NOTHING.alias, "work"]}) == [Change.ANSWER]
    assert themes(themed) is None, "the sentiment counts, the themes do not"
    with reading(themed.engine) as session:
        assert [label.task_id for label in read_labels(session)] == ["sentiment.T"]
    judge(themed, {"ann": [NOTHING.alias]}, second=1)
    assert themes(themed) == ("", {"work": 0.0, "family": 0.0, "money": 0.0}, 1)


def test_formats_of_one_scale_send_a_project_of_themes_alone_to_jsonl(
    project: Project, tmp_path: Path
) -> None:
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    start, end = text.index("[[dimensions]]"), text.index("[checks]")
    path.write_text(text[:start] + THEMES + text[end:], encoding="utf-8")
    project = with_raters(with_themes(project, ""), 1, (T,))
    with writing(project.engine) as session:
        add_label(session, add_sample(session, add_video(session, "a")), "themes.T", "work")
    for format in ("mmsa", "chsims-csv"):
        with pytest.raises(ExportError, match="no regression dimension") as caught:
            export(project, format=format, dest=tmp_path / format)
        assert "jsonl" in caught.value.hint
    assert status(project).next.startswith("annotate")
    export(project, format="jsonl", dest=tmp_path / "jsonl")
    assert [label["value"] for label in exported(tmp_path / "jsonl")] == [["work"]]


def store_features(project: Project, frames: Mapping[str, NDArray[np.float32]]) -> None:
    """The same (frames, dim) by sample id in every modality."""
    for modality, name in feature_names(project).items():
        shard = FeatureStore(project.features).write(modality, name, list(frames.items()))
        with writing(project.engine) as session:
            add_shard(
                session, sha256=shard.sha256, path=shard.path, modality=modality, extractor=name,
                inputs=[(i, "") for i in shard.samples],
            )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        (["work"] * 3, "1 more train label"),
        (["work|money"] * 5, "train labels that differ in an answer"),
        ([""] * 5, "train labels that differ in an answer"),
        (["", "", "", "money"], ""),
        (["work", "work|money", "work", "work"], ""),
        (["work", "family", "sport", "work|sport"], "2 more train labels"),
        (["work", "family", "work|work", "|"], "2 more train labels"),
    ],
)
def test_a_head_needs_labels_of_the_present_answers_that_differ(
    project: Project, values: list[str], needed: str
) -> None:
    project = with_themes(project)
    with writing(project.engine) as session:
        video = add_video(session, "talk")
        samples = [add_sample(session, video, start=3.0 * i) for i in range(len(values))]
        for sample, value in zip(samples, values, strict=True):
            add_label(session, sample, "themes.T", value)
        ids = [sample.id for sample in samples]
    store_features(project, {i: np.zeros((2, 3), np.float32) for i in ids})
    material = read_training_data(project, seed=0)
    task = next(task for task in project.settings.tasks() if task.id == "themes.T")
    assert material.missing(task) == needed
    assert (task in material.trainable()) == (needed == "")


# What goes well


def test_what_raters_tick_becomes_a_label_of_what_half_of_them_ticked(
    themed: Project, tmp_path: Path
) -> None:
    ask(themed, add_samples(themed, 1))
    judge(themed, {"ann": ["money", "work"], "bob": ["work"]})
    assert themes(themed) == ("work|money", {"work": 1.0, "family": 0.0, "money": 0.5}, 2)
    assert judge(themed, {"ann": ["money", "work"]}) == [Change.NONE]
    assert judge(themed, {"ann": [NOTHING.alias]}, second=1) == [Change.EDIT]
    assert themes(themed) == ("work", {"work": 0.5, "family": 0.0, "money": 0.0}, 2)
    with reading(themed.engine) as session:
        query = session.query(Annotation).filter(Annotation.task_id == "themes.T").order_by(Annotation.id)
        rows = [(row.state, row.value) for row in query]
    answered = AnnotationState.ANSWERED
    assert rows == [(answered, "work|money"), (answered, "work"), (answered, "")]

    report = export(themed, format="jsonl", dest=tmp_path / "out")
    assert report.samples["train"] == 1
    (label,) = exported(tmp_path / "out")
    assert label == {
        "value": ["work"], "distribution": {"work": 0.5, "family": 0.0, "money": 0.0}, "raters": 2,
    }  # fmt: skip
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["dimensions"]["themes"]["kind"] == "multilabel"
    counted = {row["task"]: row["train"] for row in status(themed).labels}
    assert counted == {"sentiment.T": 1, "themes.T": 1}


def test_a_sample_of_which_nothing_is_true_is_finished(themed: Project, tmp_path: Path) -> None:
    with writing(themed.engine) as session:
        sample = add_sample(session, add_video(session, "a"))
        add_label(session, sample, "sentiment.T", 0.0)
        add_label(session, sample, "themes.T", "")
    export(themed, format="jsonl", dest=tmp_path / "out")
    assert [label["value"] for label in exported(tmp_path / "out")] == [[]]


def test_the_order_of_the_answers_may_change_in_the_settings(themed: Project) -> None:
    ask(themed, add_samples(themed, 1))
    judge(themed, {"ann": ["work", "money"]})
    path = themed.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    first, last = (f'    {{ value = "{v}", label = "{v}" }},\n' for v in ("work", "money"))
    path.write_text(text.replace(first, "<>").replace(last, first).replace("<>", last), encoding="utf-8")
    turned = with_themes(themed, "")
    with writing(turned.engine) as session:
        rebuild_labels(session, turned.settings.tasks())
    assert themes(turned) == ("money|work", {"money": 1.0, "family": 0.0, "work": 1.0}, 1)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([[0.9, 0.2, 0.6]], "work|money"),
        ([[0.1, 0.2, 0.3]], ""),
        ([[1.0, 0.0, 0.4], [0.2, 0.4, 0.6]], "work|money"),
    ],
)
def test_what_the_model_believed_is_kept_like_a_label(
    project: Project, members: list[list[float]], named: str
) -> None:
    task = Task(with_themes(project).settings.dimension_list()[1], T)
    probs = np.array(members, np.float32)[:, None]
    zero = np.zeros(1, np.float32)
    count = np.array([float(len(task.dimension.ticked(named)))], np.float32)
    prediction = TaskPrediction(task, probs, count, zero, zero)
    predictions = PoolPredictions({"s": 0}, {task.id: prediction}, np.zeros((1, 1), np.float32), {})
    ((_, _, belief),) = predictions.beliefs(["s"])
    assert belief["mean"] == named
    assert belief["probs"] == pytest.approx(
        dict(zip(("work", "family", "money"), probs.mean(0)[0], strict=True))
    )
    assert prediction.ticked.sum() == count[0]


def test_what_was_ticked_is_learned_scored_shown_and_ranked(
    themed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HIDDEN": "8", "MEMBERS": "2", "EPOCHS": "40", "LEARNING_RATE": "0.01"}.items():
        monkeypatch.setenv(f"ANNOTATE_TRAIN__{name}", value)
    opened = with_raters(with_themes(themed, ""), 2, (T,))
    ids = learnable(opened)
    report = train(opened)
    (row,) = [row for row in report.scores if (row["split"], row["task"]) == ("test", "themes.T")]
    assert {"n", "Acc-subset", "F1-micro", "F1-macro"} <= set(row)
    assert row["n"] == 12 and row["F1-micro"] > 0.8
    shown = next(row for row in status(opened).scores if row["task"] == "themes.T")
    assert shown["F1-micro"] == row["F1-micro"]

    output = predict_round(opened, report.round, ids[Split.TEST], representations=True)
    predictions, embeddings = output.predictions, output.embeddings
    said = predictions["themes.T"]
    assert said.members.shape == (2, 12, 3)
    assert said.mean.tolist() == said.ticked.sum(axis=1).tolist()
    missing = {"themes.T": np.ones(12, dtype=bool)}
    # Of what was asked before, half is known; what each of them said is of no importance here.
    known = LabeledSet(
        embeddings[:6], rows_of(output.representations, np.arange(6)), {"themes.T": said.of(range(6))},
        {"themes.T": np.tile([1.0, 0.0, 1.0], (6, 1))},
    )  # fmt: skip
    pool = Pool(
        np.array(ids[Split.TEST]),
        predictions,
        missing,
        embeddings,
        known,
        output.representations,
    )
    for name in STRATEGIES.names():
        opened_strategy = make_strategy(name)
        if Kind.MULTILABEL not in opened_strategy.kinds or name in ("modality-conflict", "modal"):
            continue  # of one modality nobody contradicts another; modAL's functions have a test of their own
        chosen = choose(opened_strategy, name, pool, 5, np.random.default_rng(0))
        assert len(set(chosen.indices.tolist())) == 5, name


def learnable(project: Project) -> dict[Split, list[str]]:
    """Samples in which the sign of a number tells whether a theme is ticked; ids by split."""
    rng = np.random.default_rng(0)
    dimension = project.settings.dimension_list()[1]
    found: dict[Split, list[str]] = {}
    frames: dict[str, NDArray[np.float32]] = {}
    with writing(project.engine) as session:
        for split, count in ((Split.TRAIN, 48), (Split.VALID, 12), (Split.TEST, 12)):
            video = add_video(session, split.value, split=split)
            samples = [add_sample(session, video, start=3.0 * i) for i in range(count)]
            for sample in samples:
                middle = rng.choice([-1.0, 1.0], 3)
                frames[sample.id] = rng.normal(middle, 0.1, (2, 3)).astype(np.float32)
                true = [a.alias for a, side in zip(dimension.answers, middle, strict=True) if side > 0]
                shares = {a.alias: float(a.alias in true) for a in dimension.answers}
                add_label(session, sample, "themes.T", dimension.joined(true))
                session.get(Label, (sample.id, "themes.T", "human")).distribution = shares
            found[split] = sorted(sample.id for sample in samples)
    store_features(project, frames)
    return found


def test_scripted_raters_tick_what_the_page_offers(project: Project) -> None:
    dimension = with_themes(project).settings.dimension_list()[1]
    said = [scripted_choices(f"{n:04}", T, dimension, "ann") for n in range(200)]
    for choices in said:
        result = page_sends("0", *choices)
        assert parse_annotation(raw_of(result), [dimension]).problems == ()
    counts = {len(choices) for choices in said}
    assert counts == {1, 2, 3} and [NOTHING.alias] in said
    agreed = [scripted_choices(f"{n:04}", T, dimension, "bob") == said[n] for n in range(200)]
    assert 0.3 < np.mean(agreed) < 0.9


def raw_of(result: list[dict[str, Any]]) -> dict[str, Any]:
    times = {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:05:00Z"}
    return {"id": 1, "task": 7, "completed_by": 2, "was_cancelled": False, "result": result, **times}


@pytest.mark.studio
@pytest.mark.slow
def test_ticks_travel_through_a_real_label_studio(
    label_studio: LabelStudio, project: Project, tmp_path: Path
) -> None:
    project = with_raters(label_studio.use(with_themes(project)), 2, (T,))
    ann, bob = (Rater(label_studio.url, *label_studio.add_rater()) for _ in range(2))
    ask(project, add_samples(project, 1))
    with closing(LabelStudioClient(label_studio.url, label_studio.token, 60)) as client:
        push_outbox(project, client)
    item = next(iter(items(project).values()))
    number = ann.send(item, page_sends("1", "money", "work"))
    bob.send(item, page_sends("1", NOTHING.alias, "work"))
    report = pull(project)
    assert report.passes["T"] == PassReport(answers=2)
    assert len(report.problems) == 1 and "themes is answered" in report.problems[0]
    assert themes(project) == ("work|money", {"work": 1.0, "family": 0.0, "money": 1.0}, 1)
    ann.send_edit(number, page_sends("1", NOTHING.alias))
    renamed = [
        replace(d, answers=tuple(replace(a, label=f"{a.label}!") for a in d.answers))
        for d in project.settings.dimension_list()
    ]
    with closing(LabelStudioClient(label_studio.url, label_studio.token, 60)) as client:
        client.change_page(ls_project(project), labeling_config(T, renamed))
    assert pull(project).passes["T"] == PassReport(edits=1)
    export(project, format="jsonl", dest=tmp_path / "out")
    assert [label["value"] for label in exported(tmp_path / "out")] == [[]]


@pytest.mark.studio
@pytest.mark.slow
def test_a_question_stays_open_while_an_answer_to_it_contradicts_itself(
    label_studio: LabelStudio, project: Project
) -> None:
    project = with_raters(label_studio.use(with_themes(project)), 1, (T,))
    ann = Rater(label_studio.url, *label_studio.add_rater())
    ask(project, add_samples(project, 1))
    with closing(LabelStudioClient(label_studio.url, label_studio.token, 60)) as client:
        push_outbox(project, client)
    item = next(iter(items(project).values()))
    number = ann.send(item, page_sends("1", NOTHING.alias, "work"))
    report = pull(project)
    assert report.closed == 0
    (problem,) = report.problems
    assert "'none of these', 'work'" in problem and f"annotation {number}" in problem
    assert pull(project).problems == []
    ann.send_edit(number, page_sends("1", "work"))
    assert pull(project).closed == 1
    assert themes(project) == ("work", {"work": 1.0, "family": 0.0, "money": 0.0}, 1)
    ann.send_edit(number, page_sends("1", "work", NOTHING.alias))
    assert len(pull(project).problems) == 1
    assert next(iter(items(project).values())).state == QuestionState.OPEN
    assert themes(project) is None
