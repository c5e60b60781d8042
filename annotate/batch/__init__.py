"""Chooses what to ask next: from the unlabelled pool to a batch of questions."""
