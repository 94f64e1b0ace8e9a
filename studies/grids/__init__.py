"""Studies that train a grid of nets; each module states its claim and holds one `STUDY`."""
