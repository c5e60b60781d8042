"""How a batch is put together: the strategy that was named, over the questions that are worth their price."""
