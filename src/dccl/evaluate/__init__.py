"""How well a model ranks: places with honest ties, metrics, activity groups, and what is significant."""
