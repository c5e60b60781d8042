"""Fusions: the codes of the modalities become the code that multimodal heads read, one file each."""
