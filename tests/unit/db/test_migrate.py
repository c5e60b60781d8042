"""Promises of the schema: it is made by migrations alone, on both databases, and never half."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.command import downgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from annotate.errors import SchemaMismatch
from annotate.project import Project
from annotate.steps.init import init
from annotate.steps.migrate import migrate
from annotate.steps.recheck import recheck
from db import models
from db.annotations import AnnotationLog
from db.engine import open_engine, reading, writing
from db.imports import corpora, corpus_samples
from db.live_answers import live_answers
from db.migrate import MIGRATIONS, render_plain_type, require_current
from db.models import Base
from tests.conftest import ROOT


def test_migrations_make_exactly_the_tables_of_the_models(each_project):
    with each_project.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_generated_migration_names_no_type_of_the_models(tmp_path):
    with open_engine(f"sqlite:///{tmp_path / 'empty.db'}").connect() as connection:
        context = MigrationContext.configure(connection)
        script = produce_migrations(context, Base.metadata)
        code = render_python_code(
            script.upgrade_ops, migration_context=context, render_item=render_plain_type
        )
    assert "sa.Column('digest', sa.String(), nullable=True)" in code
    assert "sa.Column('at', sa.DateTime(timezone=True), nullable=False)" in code
    assert "db." not in code


def test_a_newer_database_is_refused_and_says_what_to_do(each_project, annotate):
    with writing(each_project.engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer"):
        require_current(each_project.engine)
    done = annotate("migrate", cwd=each_project.root)
    assert done.returncode == 1
    assert "newer" in done.stderr
    assert "hint: install" in done.stderr
    assert not list(each_project.root.glob("*.before-*")), "a backup of what is not touched"


def test_an_older_database_names_the_command(each_project, annotate):
    with writing(each_project.engine) as session:
        session.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(SchemaMismatch) as error:
        require_current(each_project.engine)
    assert "annotate migrate" in error.value.hint


def test_a_disk_that_is_too_small_for_the_tables_is_said(tmp_path):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); import cli; cli.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    tight = subprocess.run(
        [sys.executable, "-c", code, "init", "corpus"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (tight.returncode, "Traceback" in tight.stderr) == (1, False), tight.stderr
    assert "hint:" in tight.stderr
    assert not (tmp_path / "corpus" / "annotate.toml").exists()
    assert init(tmp_path / "corpus", preset="mosi").next


def test_a_file_that_is_no_database_is_told_by_every_command(project, annotate):
    project.engine.dispose()
    for path in project.root.glob("annotate.db*"):
        path.unlink()
    (project.root / "annotate.db").write_text("garbage " * 1000)
    for command in ("status", "migrate", "extract"):
        done = annotate(command, cwd=project.root)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "not a database" in done.stderr


def test_a_database_that_lost_its_version_is_not_made_anew(each_project, annotate):
    with writing(each_project.engine) as session:
        session.execute(text("DROP TABLE alembic_version"))
    done = annotate("migrate", cwd=each_project.root)
    assert done.returncode == 1
    assert "hint: restore it from a backup" in done.stderr


def _to(engine, revision):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            config.attributes["connection"] = connection
            downgrade(config, revision)
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")


OLD_ROWS = (
    "INSERT INTO video (sha256, name, status, reason, detail, facts, settings_hash, speaker, split) "
    "VALUES ('v', 'v', 'ok', '', '', '{}', 'old', 'v', 'test')",
    "INSERT INTO sample (id, video_sha256, start_us, end_us, transcript, transcript_origin, status, split, "
    "media_sha256) VALUES ('s', 'v', 0, 1000000, 'a word', 'subtitles', 'ok', 'test', '{}')",
    "INSERT INTO sample_check (sample_id, name, value, passed, reason) VALUES ('s', 'face', 0.5, true, '')",
    "INSERT INTO sample_check (sample_id, name, value, passed, reason) "
    "VALUES ('s', 'loudness', -70.0, false, 'nothing to hear')",
    "INSERT INTO event (at, kind, payload) VALUES ('2026-01-01', 'unusable-answer', "
    """'{"origin": "ls#1", "problem": "sad and happy"}')""",
)


def test_a_project_of_the_first_version_is_brought_up_with_all_its_rows_and_back(each_project):
    engine = each_project.engine
    _to(engine, "0001")
    with writing(engine) as session:
        for statement in OLD_ROWS:
            session.execute(text(statement))
    assert migrate(each_project)
    with writing(engine) as session:
        assert not AnnotationLog(session, []).note_unusable({"problem": "sad and happy", "origin": "ls#1"})
        assert AnnotationLog(session, []).note_unusable({"problem": "sad and happy", "origin": "ls#2"})
    with reading(engine) as session:
        sample = session.get_one(models.Sample, "s")
        assert (sample.transcript, sample.split, sample.words, sample.speaker) == ("a word", "test", [], "")
    report = recheck(each_project)
    assert (report.before, report.samples, report.rejected) == (1, 1, {})
    with writing(engine) as session:
        session.add(models.SampleCheck(sample_id="s", name="language", value=None, word="en", passed=True))
        session.get_one(models.Video, "v").removed_at = models.now()
        session.get_one(models.Sample, "s").status = models.SampleStatus.REMOVED
    _to(engine, "0001")
    with reading(engine) as session:
        assert session.execute(text("SELECT status FROM sample")).scalar() == "ok"
        kept = session.execute(text("SELECT name, value FROM sample_check ORDER BY name")).all()
        assert [tuple(row) for row in kept] == [("face", 0.5), ("loudness", -70.0)]
        assert session.execute(text("SELECT transcript FROM sample")).scalar() == "a word"


def test_annotations_cannot_be_changed_or_deleted(each_project):
    engine = each_project.engine
    with writing(engine) as session:
        session.execute(text("INSERT INTO annotator (id, name) VALUES (1, 'a@example.com')"))
        session.execute(
            text(
                "INSERT INTO video (sha256, name, status, reason, detail, facts, settings_hash, speaker) "
                "VALUES ('v', 'v', 'ok', '', '', '{}', '', 'v')"
            )
        )
        session.execute(
            text(
                "INSERT INTO sample (id, video_sha256, start_us, end_us, transcript, transcript_origin, "
                "status, media_sha256) VALUES ('s', 'v', 0, 1, '', '', 'ok', '{}')"
            )
        )
        session.execute(
            text(
                "INSERT INTO annotation (id, sample_id, task_id, annotator_id, state, value, origin, "
                "revision, created_at, stored_at, raw) VALUES (1, 's', 'sentiment.T', 1, 'answered', "
                "'0', 'x#1', '1', '2026-01-01', '2026-01-01', '{}')"
            )
        )
    for statement in ("UPDATE annotation SET value = '1'", "DELETE FROM annotation"):
        with pytest.raises(DatabaseError, match="never"), writing(engine) as session:
            session.execute(text(statement))
    with reading(engine) as session:
        assert session.execute(text("SELECT value FROM annotation")).scalar() == "0"


def test_sqlite_is_opened_so_that_no_commit_is_lost(project):
    with reading(project.engine) as session:
        pragmas = {
            p: session.execute(text(f"PRAGMA {p}")).scalar()
            for p in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}


def test_a_url_of_another_database_is_refused():
    from annotate.errors import ConfigError

    with pytest.raises(ConfigError, match="mysql"):
        open_engine("mysql://x/y")


OLD_ANSWERS = (
    "INSERT INTO annotator (id, name) VALUES (1, 'a@example.com')",
    "INSERT INTO batch (id, created_at, strategy, seed, settings) "
    "VALUES (1, '2026-01-01', 'uniform', 0, '{}')",
    *(
        "INSERT INTO batch_item (id, batch_id, sample_id, modality, role, rank, score, state, key, "
        f"created_at) VALUES ({number}, 1, 's', 'T', 'active', 0, 0, 3, 'key{number}', '2026-01-01')"
        for number in (1, 2)
    ),
    "INSERT INTO annotation (id, sample_id, task_id, annotator_id, state, value, batch_item_id, origin, "
    "revision, created_at, stored_at, raw) VALUES (1, 's', 'sentiment.T', 1, 'answered', '0', 1, "
    "'2026-01-01T00:00:00.000000+00:00#7', '2026-01-02T00:00:00Z', '2026-01-02', '2026-01-02', "
    """'{"id": 7, "task": 40, "created_at": "2026-01-02T00:00:00Z"}')""",
)
ANSWER_OF_ANOTHER_QUESTION = (
    "INSERT INTO annotation (id, sample_id, task_id, annotator_id, state, value, batch_item_id, origin, "
    "revision, created_at, stored_at, raw) SELECT 2, sample_id, task_id, annotator_id, state, value, 2, "
    "origin, revision, created_at, stored_at, raw FROM annotation WHERE id = 1"
)


def test_answers_of_the_fourth_version_are_read_and_other_questions_may_have_their_numbers(each_project):
    engine = each_project.engine
    _to(engine, "0004")
    with writing(engine) as session:
        for statement in (*OLD_ROWS[:2], *OLD_ANSWERS):
            session.execute(text(statement))
    with pytest.raises(DatabaseError), writing(engine) as session:
        session.execute(text(ANSWER_OF_ANOTHER_QUESTION))
    assert migrate(each_project)
    with writing(engine) as session:
        [answer] = live_answers(session, "2026-01-01T00:00:00.000000+00:00")
        assert (answer.question_id, answer.number, answer.ls_task_id) == (1, 7, 40)
        assert session.get_one(models.Annotation, 1).ls_task_id is None
        session.execute(text(ANSWER_OF_ANOTHER_QUESTION))
        assert len(live_answers(session, "2026-01-01T00:00:00.000000+00:00")) == 2
    for statement in ("UPDATE annotation SET value = '1'", "DELETE FROM annotation"):
        with pytest.raises(DatabaseError, match="never"), writing(engine) as session:
            session.execute(text(statement))


def test_answers_go_back_to_the_fourth_version_and_stay_protected(each_project):
    engine = each_project.engine
    with writing(engine) as session:
        for statement in (*OLD_ROWS[:2], *OLD_ANSWERS):
            session.execute(text(statement))
    _to(engine, "0004")
    with reading(engine) as session:
        assert session.execute(text("SELECT value FROM annotation")).all() == [("0",)]
    with pytest.raises(DatabaseError, match="never"), writing(engine) as session:
        session.execute(text("DELETE FROM annotation"))


def test_questions_about_some_dimensions_survive_an_older_version(each_project):
    engine = each_project.engine
    with writing(engine) as session:
        for statement in (*OLD_ROWS[:2], *OLD_ANSWERS):
            session.execute(text(statement))
        for number, state in ((1, 3), (2, 1)):
            item = session.get_one(models.Question, number)
            item.dimensions, item.state, item.ls_project_id, item.ls_task_id = "emotion", state, 9, number
        for dimensions, server in (("", "2026-01-01"), ("emotion", "2026-01-02")):
            session.add(
                models.LsProject(
                    modality="T", server=server, ls_project_id=9, dimensions=dimensions, config_hash="h"
                )
            )
    _to(engine, "0006")
    with reading(engine) as session:
        assert session.execute(text("SELECT server FROM ls_project")).all() == [("2026-01-01",)]
        assert session.execute(text("SELECT state FROM batch_item ORDER BY id")).all() == [(3,), (4,)]
        assert session.execute(text("SELECT value FROM annotation")).all() == [("0",)]
    assert migrate(each_project)
    with reading(engine) as session:
        rows = session.query(models.LsProject).order_by(models.LsProject.server)
        assert [(row.server, row.dimensions) for row in rows] == [
            ("2026-01-01", ""), ("2026-01-02", "emotion"),
        ]  # fmt: skip
        questions = session.query(models.Question).order_by(models.Question.id)
        assert [(item.dimensions, item.ls_task_id) for item in questions] == [("emotion", 1), ("emotion", 2)]


def test_the_backup_of_an_old_database_is_private_even_if_that_was_not(project):
    _to(project.engine, "0003")
    (project.root / "annotate.db").chmod(0o644)
    assert stat.S_IMODE(Path(migrate(project).backup).stat().st_mode) == 0o600


IMPORTED_ROWS = (
    *(
        "INSERT INTO video (sha256, name, status, reason, detail, facts, settings_hash, rules_hash, speaker, "
        f"episode) VALUES ('{sha256}', '{sha256}', 'ok', '', '', '{facts}', 'imported', '', 'anna', '')"
        for sha256, facts in (
            ("w", '{"corpus": "90 % Übung", "samples": {"t": "w$_$1"}}'),
            ("x", '{"corpus": "90 % Übung", "samples": {}}'),
            ("y", '{"corpus": "CMU-MOSI", "samples": {}}'),
        )
    ),
    "INSERT INTO sample (id, video_sha256, start_us, end_us, transcript, transcript_origin, transcript_raw, "
    "words, speaker, speaker_origin, sound_print, status, split, media_sha256) VALUES "
    "('t', 'w', 0, 1000000, 'a word', 'transcript', '', '[]', '', '', '[]', 'ok', 'train', '{}')",
)


def _origins(session):
    rows = session.query(models.Video).order_by(models.Video.sha256)
    names = {corpus.id: corpus.name for corpus in session.query(models.Corpus)}
    return [(row.sha256, row.origin, names.get(row.corpus_id), row.settings_hash, row.facts) for row in rows]


def test_imported_videos_of_the_seventh_version_get_their_corpus_and_go_back(each_project):
    engine = each_project.engine
    _to(engine, "0007")
    with writing(engine) as session:
        for statement in (*OLD_ROWS[:2], *OLD_ANSWERS, *IMPORTED_ROWS):
            session.execute(text(statement))
        stored = "SELECT sha256, CAST(facts AS VARCHAR), settings_hash FROM video ORDER BY sha256"
        before = [(i, json.loads(facts), h) for i, facts, h in session.execute(text(stored))]
    assert migrate(each_project)
    cut, imported = models.VideoOrigin.CUT, models.VideoOrigin.IMPORTED
    with writing(engine) as session:
        assert _origins(session) == [
            ("v", cut, None, "old", {}),
            ("w", imported, "90 % Übung", "", {"samples": {"t": "w$_$1"}}),
            ("x", imported, "90 % Übung", "", {"samples": {}}),
            ("y", imported, "CMU-MOSI", "", {"samples": {}}),
        ]
        assert list(corpus_samples(session, "90 % Übung")) == ["t"]
        session.add(models.Corpus(name="added after the migration"))
    _to(engine, "0007")
    with reading(engine) as session:
        assert [(i, json.loads(facts), h) for i, facts, h in session.execute(text(stored))] == before
        assert session.execute(text("SELECT id FROM sample ORDER BY id")).all() == [("s",), ("t",)]
        assert session.execute(text("SELECT value FROM annotation")).all() == [("0",)]
    assert migrate(each_project)
    with reading(engine) as session:
        assert corpora(session) == ["90 % Übung", "CMU-MOSI"]
        assert session.get_one(models.Sample, "t").video_sha256 == "w"


def test_a_project_in_a_folder_with_a_percent_sign_is_migrated(tmp_path):
    init(tmp_path / "90 %(done)s", preset="mosi")
    project = Project.open(tmp_path / "90 %(done)s")
    _to(project.engine, "0007")
    assert migrate(project)
    require_current(project.engine)
