"""What happens to a training example before the net sees it."""
