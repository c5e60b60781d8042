"""Corrections of samples by hand."""
