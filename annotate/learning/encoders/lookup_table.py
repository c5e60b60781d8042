"""Tokens looked up in a table that is learned, then read by another encoder."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from annotate.errors import ConfigError
from annotate.learning.encoders._tokens import TokenEncoder, numbers
from annotate.learning.encoders.base import Encoder, masked
from annotate.learning.tensors import Code, Frames
from annotate.registry import encoder


@encoder("lookup-table")
class LookupTable(TokenEncoder):
    """A learned row per token, read by another encoder; one table for all (Collobert & Weston 2008)."""

    inner: Encoder

    @dataclass(frozen=True, slots=True)
    class Options:
        """What `[train.options.lookup-table]` may say."""

        encoder: str = "temporal-cnn"
        """Which reads what was looked up; its options are its own."""
        rows: int = 4096
        """Of the table; tokens whose numbers are alike in what is left when divided by it share one."""
        columns: int = 32
        shared: bool = False
        """One table for all tasks, also where the sharing gives each its own encoder, as in the paper.
        Without it, `none` shares nothing indeed."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.rows < 2 or options.columns < 1:
            raise ConfigError(
                f"no table has {options.rows} rows and {options.columns} columns",
                hint="train.options.lookup-table: rows from 2, columns from 1 on",
            )
        self.table = nn.Embedding(options.rows, options.columns)
        self.common = ("table",) if options.shared else ()

    def stand_on(self, make: Callable[[str, int], Encoder]) -> None:
        """Raises `ConfigError` when the other encoder does not read row by row."""
        self.inner = make(self.options.encoder, self.options.columns)
        if not self.inner.sequential:
            raise ConfigError(
                f"{self.options.encoder!r} cannot read what was looked up: it does not read row by row",
                hint='set train.options.lookup-table.encoder = "temporal-cnn"',
            )

    def forward(self, frames: Frames) -> Code:
        """What the other encoder makes of the rows."""
        found = numbers(frames)
        # Row 0 stays for no token.
        row = torch.where(found > 0, 1 + (found - 1) % (self.options.rows - 1), 0)
        looked_up = masked(functional.embedding(row, self.table.weight), frames.mask)
        code: Code = self.inner(frames._replace(values=looked_up))
        return code
