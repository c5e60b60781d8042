"""Pages and pictures of what was found: they open in a browser without a network."""
