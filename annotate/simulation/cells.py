"""Runs on the disk: one file each, written whole after every round, so that a simulation can be stopped."""

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
from annotate.simulation.replay import Point
from annotate.simulation.world import Plan, World

Settings = Callable[[str], dict[str, Any]]
GENERATION = 3
"""Raised by hand whenever the code would make other runs of the same data and settings."""
IDENTITY = "simulation.json"
FULL = "all labels"
"""In place of a strategy: the run that learns from every label at once."""


def identity(world: World, plan: Plan) -> dict[str, Any]:
    """What decides every run, apart from strategy and seed."""
    labels = [
        [*key, label.value, sorted(label.distribution.items())] for key, label in sorted(world.labels.items())
    ]
    facts: dict[str, Any] = {
        "generation": GENERATION,
        "plan": asdict(plan),
        "tasks": [[t.id, t.dimension.kind, [a.value for a in t.dimension.answers]] for t in world.tasks],
        "samples": [len(world.pool), len(world.valid), len(world.test)],
        "data": _hash([
            world.pool, world.valid, world.test, labels, sorted([*k, v] for k, v in world.votes.items()),
            sorted([m, name] for m, name in world.extractors.items()),
            hashlib.sha256(world.bare.tobytes() + world.clip_seconds.tobytes()).hexdigest(),
            sorted([word, who.tolist()] for word, who in world.groups.items()),
        ]),
        "features": world.features,
        "recipe": asdict(world.recipe),
        "cold_start": [world.cold_start, settings_of(make_strategy(world.cold_start, world.options))],
        "options": world.options,
        "costs": {m.value: asdict(world.costs[m]) for m in world.passes},
    }  # fmt: skip
    if world.pool_limit is not None and world.pool_limit < len(world.pool):
        facts["pool_limit"] = world.pool_limit
    return facts


def name_of(facts: dict[str, Any]) -> str:
    """A short name for a simulation's folder."""
    return _hash(facts)[:12]


class Cells:
    """The folder of one simulation."""

    def __init__(self, folder: Path, facts: dict[str, Any], settings: Settings) -> None:
        """Makes the folder; `settings` tells those of a run by its name.

        Raises `UsageError` when it is the folder of another simulation, or no folder can be there; `OSError`
        when nothing can be written.
        """
        self.folder, self._settings = folder, settings
        said = json.dumps(facts, sort_keys=True, indent=1).encode()
        path = folder / IDENTITY
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            found = None
        if not isinstance(found, dict):
            self._require_empty()
            self._begin(path, said)
            return
        if found != json.loads(said):
            differing = [key for key in facts if found.get(key) != json.loads(said)[key]]
            raise UsageError(
                f"{folder} holds another simulation: it differs in {', '.join(differing)}",
                hint="name another folder with --out, or say what was said then",
            )

    def _require_empty(self) -> None:
        if self.folder.is_dir() and any(not p.name.startswith(".") for p in self.folder.iterdir()):
            raise UsageError(
                f"{self.folder} is not empty, and holds no simulation", hint="name another folder with --out"
            )

    def _begin(self, path: Path, said: bytes) -> None:
        try:
            write_whole(path, said)
        except FileNotFoundError as error:  # as under /proc: it is there, and takes no folder
            raise UsageError(
                f"no folder can be made at {self.folder}", hint="name another folder with --out"
            ) from error

    def path(self, name: str, seed: int) -> Path:
        """Of a run; names of strategies may hold a colon."""
        return self.folder / "runs" / quote(name, safe="") / f"{seed}.json"

    def read(self, name: str, seed: int) -> list[Point]:
        """What is kept of a run; nothing when it is not there, is damaged, or was made with other settings
        (a new version may have other defaults): then it is made again."""
        try:
            facts = json.loads(self.path(name, seed).read_bytes())
            if facts["settings"] != _plain(self._settings(name)):
                return []
            points = facts["points"]
            return [Point(**{**point, "asked": [tuple(pair) for pair in point["asked"]]}) for point in points]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def write(self, name: str, seed: int, points: Sequence[Point]) -> None:
        """Keep what there is of a run."""
        facts = {"settings": _plain(self._settings(name)), "points": [asdict(point) for point in points]}
        write_whole(self.path(name, seed), json.dumps(facts).encode())


def _plain(content: Any) -> Any:
    """As it comes back from a file."""
    return json.loads(json.dumps(content, default=str))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
