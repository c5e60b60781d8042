"""Which transcript counts for a video that lies at several paths.

The copy that is cut first counts; one whose transcript holds nothing usable gives way to one with another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotate.corpus.splits import some
from annotate.ingest.files import SourceFile
from annotate.storage.urls import is_url
from annotate.types import VideoStatus
from annotate.wording import counted, either
from db.models import Video
from db.videos import CUT_FROM

UNUSABLE = "no-cues"
"""Reason of a video whose transcript holds nothing usable."""


def counts(file: SourceFile, video: Video, paths: Sequence[str]) -> bool:
    """Whether a copy with another transcript than the one in use is to be cut again with its own.

    The copy that was cut keeps counting while it exists: judged samples must not change because somebody adds
    a copy. One without a transcript, or with one that holds nothing usable, gives way to one that has
    another. `paths` are all known ones of the video.
    """
    cut_from = str(video.facts.get(CUT_FROM, ""))
    if not cut_from:
        # Cut by an older version: the path that gave the video its name counts.
        return file.name == video.name or not any(_exists(path) for path in paths if path != file.key)
    if file.key == cut_from or not _exists(cut_from):
        return True
    unusable = video.status == VideoStatus.REJECTED and video.reason == UNUSABLE
    return file.has_transcript and (unusable or video.settings_hash.endswith(".none"))


def _exists(path: str) -> bool:
    return is_url(path) or Path(path).exists()


@dataclass
class Copies:
    """The transcripts that are not used because another copy of their video counts."""

    _unused: dict[str, str] = field(default_factory=dict)
    """By transcript: the one that is used instead."""
    _gave_way: dict[str, str] = field(default_factory=dict)
    """The same of those that hold nothing usable."""

    def give_way(self, unusable: str, used: str) -> None:
        """Remember a transcript without anything usable, and that of another copy, which is tried instead."""
        self._gave_way[unusable] = used

    def compare(self, file: SourceFile, settings_hash: str, used_hash: str, used: str) -> None:
        """Remember the transcript of `file` if it differs from the one that its video was cut with."""
        if file.has_transcript and settings_hash.rpartition(".")[2] != used_hash.rpartition(".")[2]:
            self._unused[file.transcript_path] = used

    def warnings(self) -> list[str]:
        """One warning about each kind of them that there is."""
        because = "the same video lies at another path with a transcript of its own"
        unused = {path: used for path, used in self._unused.items() if path not in self._gave_way}
        return [
            *_warning(
                unused, f"because {because}; the copy that was cut first, in the order of paths, counts"
            ),
            *_warning(self._gave_way, f"because nothing in it is usable, and {because}"),
        ]


def _warning(unused: Mapping[str, str], why: str) -> list[str]:
    if not unused:
        return []
    number = len(unused)
    listed = some([f"{path} (used: {used or 'none'})" for path, used in sorted(unused.items())])
    return [f"{counted(number, 'transcript')} {either(number, 'is', 'are')} not used, {why}: {listed}"]
