"""Media files: what they hold, and what a rater of one pass may see of them."""
