"""What a trained net looks like: counts, its first layer, the locality of its masks, pictures."""
