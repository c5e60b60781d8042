"""The settings of a project: `annotate.toml` and environment variables."""
