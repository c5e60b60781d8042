"""Reports as pages and pictures that open in a browser without a network."""
