"""Learned token embeddings, read by another encoder."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from annotate.errors import ConfigError
from annotate.learning.encoders._tokens import TokenEncoder, token_ids
from annotate.learning.encoders.base import Encoder, masked
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder


@encoder("lookup-table")
class LookupTable(TokenEncoder):
    """Learned embedding per token, read by another encoder (Collobert & Weston 2008)."""

    inner: Encoder

    @dataclass(frozen=True, slots=True)
    class Options:
        """Options of `lookup-table`."""

        encoder: str = "temporal-cnn"
        """Encoder that reads the embeddings; its options are in its own table."""
        rows: int = 4096
        """Rows of the embedding table; token ids are taken modulo this number, so some tokens share a row."""
        columns: int = 32
        """Size of an embedding."""
        shared: bool = False
        """Whether all tasks share one table, as in the paper, even where the sharing gives each task its
        own encoder."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.rows < 2 or options.columns < 1:
            raise ConfigError(
                f"a lookup table cannot have {options.rows} rows and {options.columns} columns",
                hint="train.options.lookup-table: rows from 2, columns from 1 on",
            )
        self.table = nn.Embedding(options.rows, options.columns)
        self.common = ("table",) if options.shared else ()

    def make_inner(self, make: Callable[[str, int], Encoder]) -> None:
        """Raises `ConfigError` when the other encoder does not read row by row."""
        self.inner = make(self.options.encoder, self.options.columns)
        if not self.inner.sequential:
            raise ConfigError(
                f"{self.options.encoder!r} cannot read token embeddings: it does not read row by row",
                hint='set train.options.lookup-table.encoder = "temporal-cnn"',
            )

    def forward(self, frames: Frames) -> Representation:
        """The output of the inner encoder for the embeddings."""
        ids = token_ids(frames)
        # Row 0 is for padding.
        row = torch.where(ids > 0, 1 + (ids - 1) % (self.options.rows - 1), 0)
        looked_up = masked(functional.embedding(row, self.table.weight), frames.mask)
        representation: Representation = self.inner(frames._replace(values=looked_up))
        return representation
