"""Origins of samples: their video, their time in it, and the group that is never divided between splits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from annotate.corpus.groups import group
from annotate.project import Project
from db.duplicates import same_sound
from db.engine import reading
from db.groups import video_ties
from db.samples import origins

if TYPE_CHECKING:
    from annotate.learning.batches import Origin, Origins


def read_origins(project: Project) -> "Origins":
    """A function that returns the origins of samples, for training and prediction.

    The groups are those of the splits: videos that share a speaker, an episode or a duplicate.
    """
    from annotate.learning.batches import Origin

    with reading(project.engine) as session:
        groups = group(video_ties(session), same_sound(session), project.settings.splits.together).of

    def origins_of(sample_ids: Sequence[str]) -> "list[Origin]":
        with reading(project.engine) as session:
            stored = origins(session, sample_ids)
        return [Origin(*stored[i], groups.get(stored[i][0], stored[i][0])) for i in sample_ids]

    return origins_of
