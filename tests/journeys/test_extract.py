"""`annotate extract` on a project with real clips: once, again, after damage, and after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from annotate.config.settings import load
from annotate.corpus.features import feature_names, featured, read_features
from annotate.errors import ConfigError, FeatureError, NothingToDo
from annotate.feature_store import FeatureStore
from annotate.features.face_motion import FaceMotion
from annotate.project import Project
from annotate.steps.extract import extract
from annotate.types import UNIMODAL, Modality
from db import models
from db.engine import reading, writing
from db.features import shards
from tests.conftest import ROOT
from tests.support.factories import add_sample, add_video
from tests.support.leftovers import name_of_an_ended_process

TEXTS = ("bin blue at f two now", "把蓝色放在这里", "")
Fill = Callable[[Project], list[str]]


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, example_videos: Path) -> tuple[Path, Path]:
    """The picture of an example, and its sound at 16 kHz."""
    video = example_videos / "grid_bbaf2n.mpg"
    wav = tmp_path_factory.mktemp("media") / "a.wav"
    resampler, parts = av.AudioResampler("s16", "mono", 16_000), []
    with av.open(str(video)) as container:
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray().ravel() for part in resampler.resample(frame)]
    soundfile.write(wav, np.concatenate(parts), 16_000)
    return video, wav


@pytest.fixture
def fill(media: tuple[Path, Path]) -> Fill:
    """Put three samples into a project, as ingest would; their ids in order."""

    def add(project: Project) -> list[str]:
        with writing(project.engine) as session:
            video = add_video(session, "talk")
            rows = [add_sample(session, video, start=3.0 * i, text=text) for i, text in enumerate(TEXTS)]
            for row in rows:
                row.media_sha256 = {"A": f"a{row.id}", "V": f"v{row.id}"}
            ids = sorted(row.id for row in rows)
        for sample_id in ids:
            files = project.sample_media(sample_id)
            for source, target in ((media[1], files.audio), (media[0], files.silent)):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        return ids

    return add


def counts(project: Project) -> dict[str, tuple[int, int, int]]:
    report = extract(project)
    return {word: (m.done, m.unchanged, m.failed) for word, m in report.modalities.items()}


def all_files(project: Project) -> list[str]:
    return sorted(str(p.relative_to(project.features)) for p in project.features.rglob("*") if p.is_file())


def test_without_samples_it_says_what_comes_first(project: Project) -> None:
    with pytest.raises(NothingToDo) as caught:
        extract(project)
    assert "annotate ingest" in caught.value.hint and caught.value.exit_code == 3


def test_every_sample_gets_features_once(each_project: Project, fill: Fill) -> None:
    ids = fill(each_project)
    assert featured(each_project, ids) != set(ids)
    assert counts(each_project) == dict.fromkeys(("text", "audio", "vision"), (3, 0, 0))
    assert counts(each_project) == dict.fromkeys(("text", "audio", "vision"), (0, 3, 0))
    assert featured(each_project, ids) == set(ids)
    for modality, frames in ((Modality.TEXT, 1), (Modality.AUDIO, 30), (Modality.VISION, 15)):
        assert [len(x) for x in read_features(each_project, modality, ids)] == [frames] * 3


def test_features_come_in_the_order_asked(project: Project, fill: Fill) -> None:
    ids = fill(project)
    extract(project)
    first, second, again = read_features(project, Modality.TEXT, [ids[1], ids[0], ids[1]])
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_asking_before_extracting_says_how_many_are_missing(project: Project, fill: Fill) -> None:
    ids = fill(project)
    with pytest.raises(FeatureError, match="3 of 3 samples have no audio features") as caught:
        read_features(project, Modality.AUDIO, ids)
    assert caught.value.hint == "annotate extract"


def test_features_of_an_earlier_version_of_the_extractor_are_named_and_do_not_count(
    project: Project, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(project)
    with monkeypatch.context() as earlier:
        earlier.setattr(FaceMotion, "version", "1")
        extract(project)
        old = feature_names(project)[Modality.VISION]
    with pytest.raises(FeatureError, match=f"{old} was made by another version") as caught:
        read_features(project, Modality.VISION, ids)
    assert caught.value.hint == "annotate extract"
    extract(project)
    assert len(read_features(project, Modality.VISION, ids)) == len(ids)


def test_two_projects_with_the_same_samples_have_the_same_files(
    make_project: Callable[..., Project], fill: Fill
) -> None:
    one, other = make_project(name="one"), make_project(name="other")
    for each in (one, other):
        fill(each)
        extract(each)
    assert all_files(one) == all_files(other) != []


def test_a_changed_transcript_is_extracted_again_alone(each_project: Project, fill: Fill) -> None:
    ids = fill(each_project)
    extract(each_project)
    before = read_features(each_project, Modality.TEXT, ids)
    with writing(each_project.engine) as session:
        session.get_one(models.Sample, ids[0]).transcript = "something else"
    assert counts(each_project) == {"text": (1, 2, 0), "audio": (0, 3, 0), "vision": (0, 3, 0)}
    after = read_features(each_project, Modality.TEXT, ids)
    assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [False, True, True]


@pytest.mark.parametrize("kind", ["audio", "silent"])
def test_a_damaged_clip_is_reported_and_stops_nobody(project: Project, fill: Fill, kind: str) -> None:
    ids = fill(project)
    Path(getattr(project.sample_media(ids[1]), kind)).write_bytes(b"no media")
    report = extract(project)
    word = "audio" if kind == "audio" else "vision"
    assert [(m.done, m.failed) for m in report.modalities.values()].count((3, 0)) == 2
    assert (report.modalities[word].done, report.modalities[word].failed) == (2, 1)
    assert report.failures[0]["sample"] == ids[1] and report.failures[0]["modality"] == word
    assert ids[1] in report.failures[0]["reason"]
    assert featured(project, ids) == {ids[0], ids[2]}
    assert "annotate ingest" in report.next
    assert [(m.done, m.unchanged, m.failed) for m in extract(project).modalities.values()].count(
        (0, 2, 1)
    ) == 1


@pytest.mark.parametrize("harm", ["delete", "truncate", "flip"])
def test_a_harmed_shard_is_noticed_and_made_again(project: Project, fill: Fill, harm: str) -> None:
    ids = fill(project)
    extract(project)
    before = read_features(project, Modality.AUDIO, ids)
    with reading(project.engine) as session:
        path = next(project.features / row.path for row in shards(session) if row.path.startswith("A/"))
    content = path.read_bytes()
    if harm == "delete":
        path.unlink()
    elif harm == "truncate":
        path.write_bytes(content[:-100])
    else:
        length = int.from_bytes(content[:8], "little")
        place = 8 + length + json.loads(content[8 : 8 + length])["values"]["data_offsets"][0]
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(FeatureError, match=path.name) as caught:
        read_features(project, Modality.AUDIO, ids)
    assert caught.value.hint == "annotate extract"
    assert counts(project) == {"text": (0, 3, 0), "audio": (3, 0, 0), "vision": (0, 3, 0)}
    for now, then in zip(read_features(project, Modality.AUDIO, ids), before, strict=True):
        np.testing.assert_array_equal(now, then)


KILLED = """
import os, signal, sys
from pathlib import Path
from annotate.project import Project
from annotate.steps.extract import extract
from db import features
add, left = features.add_shard, [int(sys.argv[2])]
def killed(session, **shard):
    if sys.argv[3] == "after":
        add(session, **shard)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    if sys.argv[3] == "before":
        add(session, **shard)
features.add_shard = killed
extract(Project.open(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("nth", [0, 2])
def test_killed_between_shard_and_commit_it_goes_on(
    make_project: Callable[..., Project], fill: Fill, nth: int, moment: str
) -> None:
    clean, project = make_project(name="clean"), make_project(name="killed")
    fill(clean)
    ids = fill(project)
    extract(clean)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, project.root, str(nth), moment],
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with reading(project.engine) as session:
        assert len(shards(session)) == nth, "the last shard is an orphan"
    assert len(all_files(project)) == nth + 1
    half = project.features / "T" / "some@01" / name_of_an_ended_process()
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half")
    extract(project)
    assert all_files(project) == all_files(clean)
    assert featured(project, ids) == set(ids)


def test_an_orphan_shard_is_swept_and_another_extractors_is_kept(project: Project, fill: Fill) -> None:
    ids = fill(project)
    store = FeatureStore(project.features)
    orphan = store.write(Modality.TEXT, "other@00000000", [(ids[0], np.ones((1, 2), np.float32))])
    kept = store.write(Modality.TEXT, "kept@00000000", [(ids[0], np.ones((1, 3), np.float32))])
    with writing(project.engine) as session:
        session.add(
            models.FeatureShard(
                sha256=kept.sha256, path=kept.path, modality="T", extractor="kept@00000000", samples=1
            )
        )
        session.flush()
        session.add(
            models.Feature(
                sample_id=ids[0],
                extractor="kept@00000000",
                shard_sha256=kept.sha256,
                position=0,
                input_hash="",
            )
        )
    extract(project)
    assert kept.path in all_files(project) and orphan.path not in all_files(project)


def with_features(project: Project, **features: str) -> Project:
    path = project.root / "annotate.toml"
    text = path.read_text(encoding="utf-8")
    for key, value in features.items():
        default = {"text": "char-hash", "audio": "voice-stats", "vision": "face-motion"}.get(key)
        text = (
            text.replace(f'{key} = "{default}"', f"{key} = {json.dumps(value)}")
            if default
            else text.replace("[features]", f"[features]\n{key} = {json.dumps(value)}")
        )
    path.write_text(text, encoding="utf-8")
    return Project(project.root, load(path))


def test_an_extractor_of_another_modality_is_refused(project: Project, fill: Fill) -> None:
    fill(project)
    with pytest.raises(ConfigError, match=r"features\.text names 'voice-stats', which reads audio"):
        extract(with_features(project, text="voice-stats"))
    assert not project.features.exists()


def test_a_pretrained_extractor_without_its_model_fails_before_any_work(project: Project, fill: Fill) -> None:
    fill(project)
    with pytest.raises(ConfigError, match=r"features\.vision_model is empty"):
        extract(with_features(project, vision="hf-vision"))
    assert not project.features.exists()


def test_a_pretrained_model_serves_a_whole_project(project: Project, fill: Fill, tmp_path: Path) -> None:
    from tests.support.tiny_models import save_text_model

    ids = fill(project)
    extract(project)
    changed = with_features(project, text="hf-text", text_model=str(save_text_model(tmp_path / "tiny")))
    assert counts(changed) == {"text": (3, 0, 0), "audio": (0, 3, 0), "vision": (0, 3, 0)}
    assert {x.shape[1] for x in read_features(changed, Modality.TEXT, ids)} == {16}
    assert feature_names(changed)[Modality.TEXT].startswith("hf-text@")
    assert set(feature_names(changed)) == set(UNIMODAL)
    changed.engine.dispose()


def test_the_command_prints_one_json_object(
    project: Project, fill: Fill, annotate: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    fill(project)
    done = annotate("extract", "--json", cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["modalities"]["audio"]["done"] == 3
