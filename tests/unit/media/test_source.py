"""Foreign files: bad ones are named, odd ones are read, lists of other files are refused."""

from pathlib import Path

import pytest

from annotate.errors import MediaError
from annotate.media import source
from annotate.media.audio import decode_audio
from annotate.media.probe import probe
from annotate.media.repair import repair
from tests.support.media_factory import make_video


def code_of(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.hint
    return caught.value.code


def test_a_zero_byte_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert code_of(tmp_path / "a.mp4") == "empty"


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    assert code_of(tmp_path / "gone.mp4") == "unreadable"


@pytest.mark.parametrize(
    "text",
    [
        "just words\n" * 50,
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{real}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{name}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>',
    ],
    ids=["text", "hls-file", "hls-http", "concat", "sdp", "dash"],
)
def test_text_and_lists_of_other_files_are_broken_whatever_their_name(text: str, tmp_path: Path) -> None:
    real = make_video(tmp_path / "real.ts", seconds=1)
    fake = tmp_path / "fake.mp4"
    fake.write_text(text.format(real=real.as_uri(), name=real.name))
    assert code_of(fake) == "broken"
    with pytest.raises(MediaError):
        repair(fake, tmp_path)


def test_a_file_without_its_index_is_broken(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert code_of(path) == "broken"


def test_a_file_whose_end_is_missing_is_truncated(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=6, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 5 // 10])
    with pytest.raises(MediaError, match="cut off") as caught:
        decode_audio(path)
    assert caught.value.code == "truncated"


def test_a_picture_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1)
    monkeypatch.setattr(source, "MAX_PIXELS", 160 * 120 - 1)
    assert code_of(path) == "too-large"


def test_an_endless_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=2)
    monkeypatch.setattr(source, "MAX_SECONDS", 1)
    assert code_of(path) == "too-long"


@pytest.mark.parametrize(
    "name",
    [
        "with space.mp4", "it's \"so\".mp4", "two\nlines.mp4", "-i.mp4", "a%03d.mp4", "http:evil.mp4",
        "concat:a|b.mp4", "pipe:0", "视频🎬.mp4", "caf\udce9.mp4",
    ],
)  # fmt: skip
def test_a_name_is_only_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_video(tmp_path / "plain.mp4", seconds=1)
    made.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    found = probe(Path(name))
    assert (found.width, found.height, found.video_codec, found.audio_codec) == (160, 120, "h264", "aac")


def test_the_second_decoder_makes_a_copy_that_the_first_reads(tmp_path: Path) -> None:
    path = make_video(tmp_path / "-odd name%d.mp4")
    copy = repair(path, tmp_path)
    assert abs(decode_audio(copy).end_us - decode_audio(path).end_us) < 50_000


def test_the_second_decoder_shows_signs_of_life_and_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    limit = tmp_path / "limit"
    slow.write_text(f"#!/bin/sh\nulimit -t > {limit}\nsleep 2.5\nseq 20000 >&2\nexit 1\n")
    slow.chmod(0o755)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(slow))
    signs: list[int] = []
    with pytest.raises(MediaError) as caught:
        repair(make_video(tmp_path / "a.mp4", seconds=1), tmp_path, signs.append)
    assert (caught.value.code, signs) == ("broken", [0, 0])
    assert limit.read_text() == "600\n"


def test_a_turned_video_says_so(tmp_path: Path) -> None:
    found = probe(make_video(tmp_path / "a.mp4", seconds=1, rotate=90))
    assert found.rotation == 90
    assert found.shown == (120, 160)


def test_a_video_without_sound_stream_has_no_audio(tmp_path: Path) -> None:
    assert code_of(make_video(tmp_path / "a.mp4", audio=None, seconds=1)) == "no-audio"


def test_sound_alone_has_no_video(tmp_path: Path) -> None:
    assert code_of(make_video(tmp_path / "a.mp3", video=False, seconds=1)) == "no-video"
