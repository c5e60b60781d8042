"""Who talks: voices that are told apart by ear, where nobody named them."""
