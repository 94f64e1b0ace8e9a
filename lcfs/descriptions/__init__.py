"""Nets in bits: lengths of descriptions from counts alone, and descriptions that decode to a net."""
