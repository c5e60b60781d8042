"""Speaker clustering: groups samples by voice where nobody named the speakers."""
