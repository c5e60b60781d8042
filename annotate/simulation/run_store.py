"""Stores runs, one file each, written as a whole after every round, so that a simulation can be resumed."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from annotate.batch.opening import make_strategy, settings_of
from annotate.durable import write_whole
from annotate.errors import UsageError
from annotate.simulation.replay import CurvePoint
from annotate.simulation.replay_data import ReplayData
from annotate.simulation.schedule import ReplaySchedule

Settings = Callable[[str], dict[str, Any]]
"""Name of a run -> settings of its strategy."""
GENERATION = 3
"""Increased by hand whenever a change of the code makes other runs of the same data and settings."""
IDENTITY = "simulation.json"
FULL = "all labels"
"""In place of a strategy: the run that is trained on every label at once."""


def identity(data: ReplayData, schedule: ReplaySchedule) -> dict[str, Any]:
    """Everything that the runs depend on, apart from strategy and seed."""
    labels = [
        [*key, label.value, sorted(label.distribution.items())] for key, label in sorted(data.labels.items())
    ]
    facts: dict[str, Any] = {
        "generation": GENERATION,
        "plan": asdict(schedule),
        "tasks": [[t.id, t.dimension.kind, [a.value for a in t.dimension.answers]] for t in data.tasks],
        "samples": [len(data.pool), len(data.valid), len(data.test)],
        "data": _hash([
            data.pool, data.valid, data.test, labels, sorted([*k, v] for k, v in data.votes.items()),
            sorted([m, name] for m, name in data.extractors.items()),
            hashlib.sha256(data.embeddings.tobytes() + data.clip_seconds.tobytes()).hexdigest(),
            sorted([word, numbers.tolist()] for word, numbers in data.groups.items()),
        ]),
        "features": data.features,
        "recipe": asdict(data.config),
        "cold_start": [data.cold_start, settings_of(make_strategy(data.cold_start, data.options))],
        "options": data.options,
        "costs": {m.value: asdict(data.costs[m]) for m in data.passes},
    }  # fmt: skip
    if data.pool_limit is not None and data.pool_limit < len(data.pool):
        facts["pool_limit"] = data.pool_limit
    return facts


def name_of(facts: dict[str, Any]) -> str:
    """A short name for the folder of a simulation."""
    return _hash(facts)[:12]


class RunStore:
    """The folder of one simulation."""

    def __init__(self, folder: Path, facts: dict[str, Any], settings: Settings) -> None:
        """Create the folder, or check that it is the one of this simulation.

        Raises `UsageError` for a folder of another simulation or with other files, and where no folder can be
        created; `OSError` when nothing can be written.
        """
        self.folder, self._settings = folder, settings
        content = json.dumps(facts, sort_keys=True, indent=1).encode()
        path = folder / IDENTITY
        try:
            stored = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            stored = None
        if isinstance(stored, dict):
            expected = json.loads(content)
            if stored != expected:
                differing = [key for key in facts if stored.get(key) != expected[key]]
                raise UsageError(
                    f"{folder} holds another simulation: it differs in {', '.join(differing)}",
                    hint="name another folder with --out, or use the options of that simulation",
                )
            return
        if folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty, and holds no simulation", hint="name another folder with --out"
            )
        try:
            write_whole(path, content)
        except FileNotFoundError as error:  # some places exist but take no new folder, such as /proc
            raise UsageError(
                f"no folder can be made at {folder}", hint="name another folder with --out"
            ) from error

    def path(self, name: str, seed: int) -> Path:
        """The file of a run; the name is quoted because those of strategies may contain a colon."""
        return self.folder / "runs" / quote(name, safe="") / f"{seed}.json"

    def read(self, name: str, seed: int) -> list[CurvePoint]:
        """The points of a run so far.

        Empty when there are none, the file is damaged, or the strategy had other settings then: a new version
        may have other defaults.
        """
        try:
            facts = json.loads(self.path(name, seed).read_bytes())
            if facts["settings"] != json.loads(self._settings_json(name)):
                return []
            return [
                CurvePoint(**{**point, "asked": [tuple(pair) for pair in point["asked"]]})
                for point in facts["points"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def write(self, name: str, seed: int, points: Sequence[CurvePoint]) -> None:
        """Store the points of a run so far."""
        facts = {
            "settings": json.loads(self._settings_json(name)),
            "points": [asdict(point) for point in points],
        }
        write_whole(self.path(name, seed), json.dumps(facts).encode())

    def _settings_json(self, name: str) -> str:
        return json.dumps(self._settings(name), default=str)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
