"""The nets of the paper and what is done to a net as a whole."""
