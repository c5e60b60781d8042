"""`annotate doctor --deep` finds real damage, wherever it is, and names it."""

import hashlib
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from annotate.errors import UsageError
from annotate.feature_store import FeatureStore
from annotate.labelling.push import push_outbox
from annotate.labelstudio.client import LabelStudioClient
from annotate.project import Project
from annotate.steps.doctor import doctor
from annotate.types import Modality
from db import features, models, outbox
from db.engine import writing
from tests.conftest import RunAnnotate
from tests.support.factories import add_sample, add_video
from tests.support.raters import TEXT_ONLY, Rater, add_samples, ask, items, ls_project, pull, with_raters
from tests.support.studio import LabelStudio

SLOW = ("stored data", "clips", "feature shards", "questions in label studio")


def fill(project: Project, count: int = 3) -> list[str]:
    """Samples with clips and features, as ingest and extract leave them."""
    ids = []
    with writing(project.engine) as session:
        for number in range(count):
            sample = add_sample(session, add_video(session, f"video {number}"))
            for modality in (Modality.AUDIO, Modality.VISION, Modality.MULTIMODAL):
                content = f"{modality} of {sample.id}".encode()
                path = project.sample_media(sample.id).of(modality)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                sample.media_sha256 = {
                    **sample.media_sha256, modality.value: hashlib.sha256(content).hexdigest()
                }  # fmt: skip
            ids.append(sample.id)
    store = FeatureStore(project.features)
    shard = store.write(Modality.TEXT, "t@0", [(i, np.ones((1, 2), np.float32)) for i in ids])
    with writing(project.engine) as session:
        features.add_shard(
            session, sha256=shard.sha256, path=shard.path, modality=Modality.TEXT, extractor="t@0",
            inputs=[(i, "") for i in shard.samples],
        )  # fmt: skip
    return ids


def states(project: Project) -> dict[str, str]:
    return {c["check"]: c["state"] for c in doctor(project, deep=True).checks if c["check"] in SLOW}


def complaints(project: Project, check: str) -> list[str]:
    return [p["detail"] for p in doctor(project, deep=True).problems if p["check"] == check]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_healthy_project_has_nothing_to_complain_of(each_project: Project) -> None:
    fill(each_project)
    assert states(each_project) == dict.fromkeys(SLOW, "ok")
    assert doctor(each_project, deep=True).problems == []


def test_a_changed_and_a_missing_clip_are_named(project: Project) -> None:
    changed, missing, _ = fill(project)
    flip(project.sample_media(changed).clip)
    project.sample_media(missing).audio.unlink()
    assert states(project)["clips"] == "fail"
    told = {f"{project.sample_media(changed).clip} has changed"}
    assert set(complaints(project, "clips")) == told | {f"{project.sample_media(missing).audio} is missing"}


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_shard_that_changed_or_is_gone_is_named(damage: str, project: Project) -> None:
    fill(project)
    (shard,) = project.features.rglob("*.safetensors")
    flip(shard) if damage == "changed" else shard.unlink()
    assert states(project)["feature shards"] == "fail"
    (told,) = complaints(project, "feature shards")
    assert told == f"{shard} is {'damaged' if damage == 'changed' else 'missing'}"


def test_damaged_pages_are_found_and_the_other_checks_still_run(project: Project) -> None:
    fill(project, 200)
    project.engine.dispose()
    path = project.root / "annotate.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sample_feature'"
        ).fetchone()
        page = page or connection.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()
    content = bytearray(path.read_bytes())
    content[(page[0] - 1) * 4096 : page[0] * 4096] = random.Random(3).randbytes(4096)
    path.write_bytes(content)
    found = states(project)
    assert (found["stored data"], found["clips"]) == ("fail", "ok")
    assert complaints(project, "stored data")


def test_a_value_that_is_no_json_and_a_row_without_its_parent_are_named(project: Project) -> None:
    (first, *_) = fill(project)
    project.engine.dispose()
    with closing(sqlite3.connect(project.root / "annotate.db")) as connection:
        connection.execute("UPDATE video SET facts = '{half'")
        connection.execute("UPDATE sample SET video_sha256 = 'nowhere' WHERE id = ?", (first,))
        connection.commit()
    told = complaints(project, "stored data")
    assert any("table video" in one and "JSON" in one for one in told), told
    assert any("table sample: 1 row whose video_sha256" in one for one in told), told


def test_the_command_prints_one_object_and_fails(project: Project, annotate: RunAnnotate) -> None:
    ids = fill(project)
    flip(project.sample_media(ids[0]).clip)
    done = annotate("doctor", "--deep", "--json", cwd=project.root)
    assert done.returncode == 1
    assert str(project.sample_media(ids[0]).clip) in done.stdout


def test_without_a_project_there_is_nothing_deep_to_check() -> None:
    with pytest.raises(UsageError, match="--deep"):
        doctor(None, deep=True)


@pytest.mark.studio
@pytest.mark.slow
def test_label_studio_is_compared_with_the_database(label_studio: LabelStudio, project: Project) -> None:
    project = with_raters(label_studio.use(project), 2, TEXT_ONLY)
    ask(project, add_samples(project, 4))
    rater = Rater(label_studio.url, *label_studio.add_rater())
    with LabelStudioClient(label_studio.url, label_studio.token, 60) as client:
        push_outbox(project, client)
        assert states(project)["questions in label studio"] == "ok"
        gone, answered, stored, withdrawn = items(project).values()
        with writing(project.engine) as session:
            outbox.withdraw(session, [withdrawn.id], "its sample is no longer used")
        rater.answer(stored, sentiment="1")
        pull(project)
        rater.answer(answered, sentiment="1")
        client.delete_task(gone.ls_task_id or 0)
        client.import_tasks(ls_project(project), [{"data": {"key": "by hand", "text": "x"}}])
    told = "\n".join(complaints(project, "questions in label studio"))
    assert f"sample {gone.sample_id} (text): open here, and not in Label Studio" in told
    assert f"sample {answered.sample_id} (text): 1 answer in Label Studio, 0 here" in told
    assert "is no question of this project; it holds 0 answers" in told
    assert told.count("\n") == 2, told
    with writing(project.engine) as session:
        assert session.query(models.Annotation).count() == 1, "nothing was changed"


@pytest.mark.studio
@pytest.mark.slow
def test_finished_questions_that_label_studio_lost_are_a_difference(
    label_studio: LabelStudio, project: Project
) -> None:
    project = with_raters(label_studio.use(project), 1, TEXT_ONLY)
    ask(project, add_samples(project, 1))
    rater = Rater(label_studio.url, *label_studio.add_rater())
    with LabelStudioClient(label_studio.url, label_studio.token, 60) as client:
        push_outbox(project, client)
        (item,) = items(project).values()
        rater.answer(item, sentiment="1")
        pull(project)
        client.delete_task(item.ls_task_id or 0)
    assert complaints(project, "questions in label studio") == [
        f"sample {item.sample_id} (text): closed here, and not in Label Studio"
    ]
