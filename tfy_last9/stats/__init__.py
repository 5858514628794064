"""How much can be known from counts: exact bounds and intervals, standard library only."""
