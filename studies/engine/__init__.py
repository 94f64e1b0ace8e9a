"""The machinery of all studies: grids of runs, their records, and the tables and sentences made of them."""
