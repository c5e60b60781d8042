"""Which transcript counts for a video that lies at several paths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from annotate.steps._ingest_files import SourceFile
from annotate.steps._splits import some
from annotate.storage.urls import is_url
from annotate.wording import counted, either
from db.models import Video
from db.videos import CUT_FROM


def counts(file: SourceFile, video: Video, paths: Sequence[str]) -> bool:
    """Whether a copy with another transcript than the one in use is to be cut again with its own.

    The copy that was cut keeps counting while it exists: judged samples must not change because somebody adds
    a copy. One without a transcript gives way to one that has it. `paths` are all known ones of the video.
    """
    cut_from = str(video.facts.get(CUT_FROM, ""))
    if not cut_from:
        # Cut by an older version: the path that gave the video its name counts.
        return file.name == video.name or not any(_exists(path) for path in paths if path != file.key)
    if file.key == cut_from or not _exists(cut_from):
        return True
    return file.has_transcript and video.settings_hash.endswith(".none")


def _exists(path: str) -> bool:
    return is_url(path) or Path(path).exists()


@dataclass
class Copies:
    """The transcripts that are not used because another copy of their video counts."""

    _unused: dict[str, str] = field(default_factory=dict)
    """By transcript: the one that is used instead."""

    def compare(self, file: SourceFile, settings_hash: str, used_hash: str, used: str) -> None:
        """Remember the transcript of `file` if it differs from the one that its video was cut with."""
        if file.has_transcript and settings_hash.rpartition(".")[2] != used_hash.rpartition(".")[2]:
            self._unused[file.transcript_path] = used

    def warnings(self) -> list[str]:
        """One warning about all of them, if there are any."""
        if not self._unused:
            return []
        number = len(self._unused)
        listed = some([f"{path} (used: {used or 'none'})" for path, used in sorted(self._unused.items())])
        return [
            f"{counted(number, 'transcript')} {either(number, 'is', 'are')} not used, because the same video "
            "lies at another path with a transcript of its own; the copy that was cut first, in the order of "
            f"paths, counts: {listed}"
        ]
