"""Text and names that one of the two databases would refuse are stored alike in both."""

import random
import string

import pytest
from sqlalchemy import select

from annotate.corpus.paths import path_key
from annotate.importing.votes import LONGEST_RATER
from annotate.transcripts import whisper
from db import imports, models
from db.engine import reading, to_json, writing


def noise(length):
    """Text that no index can compress."""
    draw = random.Random(0)
    return "".join(draw.choices(string.ascii_letters + string.digits, k=length))


def video(**change):
    same = {"name": "a", "status": "ok", "facts": {}, "settings_hash": "", "speaker": "s", "split": None}
    return models.Video(**same | change)


def test_the_character_that_postgres_refuses_is_stored_in_neither_database(each_project):
    facts = {"corpus": "c\0", "nested": [{"a\0b": r"\u0000", "c": "\\\0", "d": "\0\0"}]}
    with writing(each_project.engine) as session:
        session.add(video(sha256="1" * 64, name="a\0b", detail="\0", facts=facts))
    with reading(each_project.engine) as session:
        stored = session.scalars(select(models.Video).where(models.Video.name == "a\0b")).one()
        assert (stored.name, stored.detail) == ("ab", "")
        assert stored.facts == {"corpus": "c", "nested": [{"ab": r"\u0000", "c": "\\", "d": ""}]}
        assert session.scalar(select(models.Video.facts["corpus"].as_string())) == "c"


@pytest.mark.parametrize("value", ["", "a", r"\u0000", r"\\u0000", "\\", 'a"\\'])
def test_text_without_the_character_is_stored_as_it_is(value):
    import json

    assert json.loads(to_json({"text": value})) == {"text": value}
    assert json.loads(to_json({"text": f"\0{value}\0"})) == {"text": value}


def test_a_transcript_that_spells_it_gives_words_without_it():
    read = whisper.read('{"segments": [{"start": 0, "end": 2, "text": "a\\u0000 b", "speaker": "s\\u0000"}]}')
    assert [(cue.text, cue.speaker) for cue in read.cues] == [("a b", "s")]


def test_the_longest_names_fit_into_the_indexes_of_both_databases(each_project):
    path, rater, name = path_key(f"/{noise(4000)}"), noise(LONGEST_RATER), noise(64)
    with writing(each_project.engine) as session:
        session.add(video(sha256="2" * 64))
        session.flush()
        session.add(
            models.VideoFile(
                path=path, size=1, mtime_ns=1, inode=1, sidecar_mtime_ns=0, video_sha256="2" * 64
            )
        )
        session.add(
            models.Sample(
                id="s" * 16, video_sha256="2" * 64, start_us=0, end_us=1, split=None, media_sha256={}
            )
        )
        session.flush()
        source = imports.Source(name, "f" * 64, ["s" * 16], ["sentiment.M"])
        answers = [imports.ImportedAnswer("s" * 16, "sentiment.M", rater, "1")]
        assert imports.put_answers(session, source, answers, {}).new == 1
    with reading(each_project.engine) as session:
        assert session.get(models.VideoFile, path) is not None
        assert session.scalar(select(models.Annotator.name)).endswith(rater)
