"""Ranks: the processes that train one net together, as torchrun numbers them."""
