"""The checks of `annotate doctor`."""
