"""Name -> class, for everything that can be plugged in.

A plug-in is one new file. Built-in packages are searched file by file, except names that start with
an underscore; other distributions announce theirs under an entry-point group such as
``annotate.segmenters``.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from annotate.errors import UnknownName
from annotate.protocols import (
    Aggregator,
    Check,
    Executor,
    Exporter,
    FeatureExtractor,
    Plugin,
    QueryStrategy,
    Segmenter,
    Transcriber,
)

T = TypeVar("T", bound=Plugin)
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """All plug-ins of one kind, which are imported on first use."""

    def __init__(self, kind: str, package: str, group: str, protocol: type = Plugin) -> None:
        self.kind = kind
        self.package = package
        self.group = f"annotate.{group}"
        self._optional = _optional_attributes(protocol)
        self._classes: dict[str, type[T]] = {}
        self._searched = False

    def register(self, name: str) -> Callable[[C], C]:
        """Class decorator; each kind has its own short name for it, see below.

        Optional attributes of the protocol that the class does not declare get their default.
        """

        def add(cls: C) -> C:
            if name in self._classes:
                raise ValueError(f"two {self.kind} plug-ins are called {name!r}")
            for attribute, default in self._optional.items():
                if not hasattr(cls, attribute):
                    setattr(cls, attribute, default)
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self._search()
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """The class called `name`.

        Raises `UnknownName` with the nearest names.
        """
        self._search()
        if name not in self._classes:
            close = get_close_matches(name.lower(), self._classes, n=1)
            known = ", ".join(self.names()) or "none"
            raise UnknownName(
                f"no {self.kind} is called {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else f"known: {known}",
            )
        return self._classes[name]

    def descriptions(self) -> Mapping[str, str]:
        """First docstring line of each plug-in's class, by name."""
        return {n: (self.get(n).__doc__ or "").strip().split("\n")[0] for n in self.names()}

    def _search(self) -> None:
        if self._searched:
            return
        self._searched = True
        for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")
        for entry in entry_points(group=self.group):
            entry.load()


def _optional_attributes(protocol: type) -> dict[str, Any]:
    """Attributes of a protocol that are annotated and have a value, inherited ones included."""
    return {
        name: vars(base)[name]
        for base in reversed(protocol.__mro__)
        for name in inspect.get_annotations(base)
        if name in vars(base)
    }


SEGMENTERS: Registry[Segmenter] = Registry("segmenter", "annotate.segmenters", "segmenters")
CHECKS: Registry[Check] = Registry("check", "annotate.checks", "checks", Check)
TRANSCRIBERS: Registry[Transcriber] = Registry("transcriber", "annotate.transcribers", "transcribers")
EXECUTORS: Registry[Executor] = Registry("executor", "annotate.executors", "executors")
EXTRACTORS: Registry[FeatureExtractor] = Registry(
    "extractor", "annotate.features", "extractors", FeatureExtractor
)
STRATEGIES: Registry[QueryStrategy] = Registry("query strategy", "strategies", "strategies", QueryStrategy)
# The families of the network need torch, so their base classes are in `annotate.learning`.
ENCODERS: Registry[Plugin] = Registry("encoder", "annotate.learning.encoders", "encoders")
SHARINGS: Registry[Plugin] = Registry("sharing", "annotate.learning.sharings", "sharings")
FUSIONS: Registry[Plugin] = Registry("fusion", "annotate.learning.fusions", "fusions")
WEIGHTINGS: Registry[Plugin] = Registry("weighting", "annotate.learning.weightings", "weightings")
HEADS: Registry[Plugin] = Registry("head", "annotate.learning.heads", "heads")
ENSEMBLES: Registry[Plugin] = Registry("ensemble", "annotate.learning.ensembles", "ensembles")
AGGREGATORS: Registry[Aggregator] = Registry("aggregator", "annotate.consensus", "aggregators")
EXPORTERS: Registry[Exporter] = Registry("exporter", "exporters", "exporters")

segmenter = SEGMENTERS.register
check = CHECKS.register
transcriber = TRANSCRIBERS.register
executor = EXECUTORS.register
extractor = EXTRACTORS.register
strategy = STRATEGIES.register
encoder = ENCODERS.register
sharing = SHARINGS.register
fusion = FUSIONS.register
weighting = WEIGHTINGS.register
head = HEADS.register
ensemble = ENSEMBLES.register
aggregator = AGGREGATORS.register
exporter = EXPORTERS.register

LEARNING = (ENCODERS, SHARINGS, FUSIONS, WEIGHTINGS, HEADS, ENSEMBLES)
"""The families of network parts; searching them imports torch."""

ALL = (SEGMENTERS, CHECKS, TRANSCRIBERS, EXECUTORS, EXTRACTORS, *LEARNING, STRATEGIES, AGGREGATORS, EXPORTERS)
