"""What write_numbers.py puts into README and docs: one function a marked place, one file a kind of record."""
