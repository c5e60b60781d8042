"""Cuts videos into samples."""
