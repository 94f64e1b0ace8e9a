"""Studies that look at nets, descriptions or linear networks without a grid of trainings."""
