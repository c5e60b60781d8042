"""Compares training configurations by cross-validation, with confidence intervals and a verdict."""
