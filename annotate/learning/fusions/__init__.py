"""Fusions: the representations of the modalities become the representation that multimodal heads read, one
file each."""
