"""A net of few integers, trained for the shortest description, and its certificate."""
