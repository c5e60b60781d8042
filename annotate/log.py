"""Where log records go: stderr, above any progress bar, as loud as the user asked for."""

import logging

from rich.console import Console
from rich.logging import RichHandler

ROOT = "annotate"


def set_up(verbosity: int) -> None:
    """Warnings and errors by default; 1 adds information, 2 adds details. Below 0 only errors."""
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(max(verbosity, -1), logging.DEBUG)
    handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
