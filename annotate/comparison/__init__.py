"""Compares ways to train by cross-validation, and says plainly which is better."""
