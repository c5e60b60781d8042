"""Turn footage of people talking into multimodal sentiment and emotion datasets."""

__version__ = "0.1.0"
