"""Many devices at once: personalising them, ranking for them."""
