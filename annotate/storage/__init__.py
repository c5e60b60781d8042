"""Where clips are kept and sources come from: a folder, or an object store behind an fsspec URL."""
