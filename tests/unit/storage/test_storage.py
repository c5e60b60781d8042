"""Clips lie whole in a folder or behind a URL, and what cannot be had is named with the way out."""

import hashlib
import sys
from pathlib import Path

import pytest

from annotate.errors import StorageError
from annotate.storage.clips import PASSES, ClipStore, ExpectedFile, clip_store
from annotate.storage.sources import download, list_files, stat_url
from annotate.storage.urls import connect, is_url
from annotate.types import Modality, SampleMedia
from tests.support.object_store import Bucket

ID = "ab12cd34ef56ab78"
OTHER = "cd12cd34ef56ab79"
M = Modality.MULTIMODAL


def written(folder: Path, *sample_ids: str) -> list[ExpectedFile]:
    """Three files per sample, and what they hold."""
    wanted = []
    for sample_id in sample_ids:
        for modality in PASSES:
            path = SampleMedia.under(folder, sample_id).of(modality)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{sample_id} {modality}".encode() * 100)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            wanted.append(ExpectedFile(sample_id, modality, digest))
    return wanted


@pytest.mark.parametrize(
    ("address", "folder"),
    [("", "media"), ("clips", "clips"), ("/data/clips", "/data/clips"), ("file:///data/a%20b", "/data/a b")],
)
def test_a_path_or_a_file_url_is_a_folder(address: str, folder: str, tmp_path: Path) -> None:
    store = clip_store(address, tmp_path)
    assert store == ClipStore(tmp_path / folder)


@pytest.mark.parametrize(
    ("url", "why", "hint"),
    [
        ("s3://", "names no bucket", "s3://bucket/prefix"),
        ("nonsense://x/y", "cannot be used", "s3://bucket/prefix"),
        ("https://example.org/x", "cannot be listed", "download it first"),
        ("ftp://me:secret@host/x", "holds a password", "environment"),
        ("simplecache::s3://bucket/x", "chains", "s3://bucket/prefix"),
    ],
)
def test_a_bad_url_is_named_with_the_way_out(url: str, why: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=why) as raised:
        clip_store(url, tmp_path)
    assert hint in raised.value.hint
    assert "secret" not in str(raised.value)


def test_a_driver_that_is_not_installed_says_which_extra_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    import fsspec

    # `fsspec.registry` the mapping hides `fsspec.registry` the module.
    monkeypatch.delitem(sys.modules[f"{fsspec.__name__}.registry"]._registry, "s3", raising=False)  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match="not installed") as raised:
        clip_store("s3://bucket", tmp_path)
    assert raised.value.hint == "pip install '.[s3]'"


def test_names_that_look_like_urls_but_are_none_stay_paths() -> None:
    assert not is_url("http:a.mp4")
    assert not is_url("file:///a.mp4")
    assert is_url("s3://bucket/a.mp4")


def test_a_folder_is_never_fetched_checked_or_sent(tmp_path: Path) -> None:
    wanted = written(tmp_path, ID)
    store = ClipStore(tmp_path)
    store.check()
    store.put([ID])
    assert store.fetch([ExpectedFile(ID, M, "another hash")]) == {}
    assert store.restore(wanted) == set()
    assert store.stored()(ID)
    assert not store.stored()(OTHER)


def test_what_was_sent_is_fetched_unchanged_into_an_empty_folder(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path / "one", ID, OTHER)
    ClipStore(tmp_path / "one", f"{bucket.url}/clips").put([ID, OTHER])
    assert f"clips/M/ab/{ID}.mp4" in bucket.names()
    elsewhere = ClipStore(tmp_path / "two", f"{bucket.url}/clips")
    assert elsewhere.fetch(wanted) == {}
    for w in wanted:
        media = (SampleMedia.under(tmp_path / name, w.sample_id).of(w.modality) for name in ("one", "two"))
        first, second = (path.read_bytes() for path in media)
        assert first == second


def test_what_is_cached_unchanged_is_not_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path, ID)
    store = ClipStore(tmp_path, bucket.url)
    store.put([ID])
    bucket.store.tell(requests=True)
    assert store.fetch(wanted) == {}
    assert bucket.store.tell(requests=True) == []


def test_a_cached_copy_of_another_cut_is_replaced(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path, ID)
    store = ClipStore(tmp_path, bucket.url)
    store.put([ID])
    clip = SampleMedia.under(tmp_path, ID).clip
    good = clip.read_bytes()
    clip.write_bytes(b"an older cut")
    assert store.fetch(wanted) == {}
    assert clip.read_bytes() == good


def test_what_is_gone_or_damaged_is_named_and_leaves_no_file(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path / "one", ID, OTHER)
    ClipStore(tmp_path / "one", bucket.url).put([ID, OTHER])
    bucket.delete(f"M/ab/{ID}.mp4")
    bucket.put(f"M/cd/{OTHER}.mp4", b"half")
    lost = ClipStore(tmp_path / "two", bucket.url).fetch([w for w in wanted if w.modality is M])
    assert lost[ID] == f"{bucket.url}/M/ab/{ID}.mp4 of sample {ID} is gone"
    assert f"{bucket.url}/M/cd/{OTHER}.mp4 of sample {OTHER} is damaged" in lost[OTHER]
    assert [p for p in (tmp_path / "two").rglob("*") if p.is_file()] == []


def test_one_listing_tells_of_any_number_of_samples(bucket: Bucket, tmp_path: Path) -> None:
    ids = [f"{number:016x}" for number in range(40)]
    written(tmp_path, *ids)
    store = ClipStore(tmp_path, bucket.url)
    store.put(ids)
    bucket.delete(f"V/00/{ids[7]}.mp4")
    bucket.store.tell(requests=True)
    stored = store.stored()
    assert [i for i in ids if not stored(i)] == [ids[7]]
    assert len(bucket.store.tell(requests=True)) <= 2 * len(PASSES)


def test_what_the_store_lost_and_the_folder_holds_is_sent_again(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path, ID, OTHER)
    SampleMedia.under(tmp_path, OTHER).audio.write_bytes(b"changed")
    store = ClipStore(tmp_path, bucket.url)
    assert store.restore(wanted) == {ID}
    stored = store.stored()
    assert stored(ID)
    assert not stored(OTHER)


def test_a_bucket_that_does_not_exist_is_told(bucket: Bucket, tmp_path: Path) -> None:
    store = ClipStore(tmp_path, "s3://no-such-bucket-here/clips")
    with pytest.raises(StorageError, match="no-such-bucket-here/clips does not exist") as raised:
        store.check()
    assert "make the bucket" in raised.value.hint
    with pytest.raises(StorageError, match="does not exist"):
        list_files("s3://no-such-bucket-here/videos")


def test_a_bucket_whose_name_cannot_be_is_told_to_be_mended(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("bb", "no spaces"):
        with pytest.raises(StorageError) as raised:
            ClipStore(tmp_path, f"s3://{name}/clips").check()
        assert raised.value.hint == "make the bucket, or correct the URL"


def test_a_store_that_does_not_answer_is_told_by_every_call(bucket: Bucket, tmp_path: Path) -> None:
    wanted = written(tmp_path / "one", ID)
    bucket.store.tell(refuse_after=-1)
    store = ClipStore(tmp_path / "one", bucket.url)
    elsewhere = ClipStore(tmp_path / "two", bucket.url)
    for call in (store.check, store.stored, lambda: store.put([ID]), lambda: elsewhere.fetch(wanted)):
        with pytest.raises(StorageError, match="does not answer"):
            call()


def test_an_upload_that_breaks_leaves_nothing_half(bucket: Bucket, tmp_path: Path) -> None:
    written(tmp_path, ID)
    store = ClipStore(tmp_path, bucket.url)
    bucket.store.tell(refuse_after=1)
    with pytest.raises(StorageError):
        store.put([ID])
    bucket.store.tell(refuse_after=None)
    assert len(bucket.names()) == 1
    assert not store.stored()(ID)
    store.put([ID])
    assert store.stored()(ID)


def test_a_listing_tells_size_and_a_mark_that_follows_the_content(bucket: Bucket) -> None:
    bucket.put("videos/a.mp4", b"one")
    bucket.put("videos/deep/b.mp4", b"two")
    first = list_files(f"{bucket.url}/videos/")
    assert [(f.relative, f.size, f.named) for f in first] == [("a.mp4", 3, False), ("deep/b.mp4", 3, False)]
    assert list_files(f"{bucket.url}/videos") == first
    bucket.put("videos/a.mp4", b"new")
    second = list_files(f"{bucket.url}/videos")
    assert second[0].mark != first[0].mark
    assert second[1] == first[1]
    assert all(0 < f.mark < 2**63 and f.changed_ns > 0 for f in second)


def test_an_object_that_is_named_itself_is_known_as_such(bucket: Bucket) -> None:
    url = bucket.put("videos/a b#1.mp4", b"one")
    (found,) = list_files(url)
    assert (found.url, found.relative, found.named) == (url, "a b#1.mp4", True)
    assert stat_url(url) == found
    assert stat_url(f"{bucket.url}/videos/none.srt") is None


def test_a_download_is_hashed_on_the_way_and_read_once(bucket: Bucket, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    url = bucket.put("a.mp4", content)
    bucket.store.tell(requests=True)
    seen: list[int] = []
    assert download(url, tmp_path / "a", seen.append) == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "a").read_bytes() == content
    assert seen[-1] == len(content)
    assert len([r for r in bucket.store.tell(requests=True) if r.startswith("GET")]) == 1


def test_a_download_of_what_is_gone_is_a_missing_file(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        download(f"{bucket.url}/none.mp4", tmp_path / "a", lambda done: None)


def test_any_other_fsspec_store_will_do(tmp_path: Path) -> None:
    wanted = written(tmp_path / "one", ID)
    store = ClipStore(tmp_path / "one", "memory://storage-test/clips")
    store.check()
    store.put([ID])
    assert store.stored()(ID)
    assert ClipStore(tmp_path / "two", "memory://storage-test/clips").fetch(wanted) == {}
    fs, path = connect("memory://storage-test")
    fs.rm(path, recursive=True)
