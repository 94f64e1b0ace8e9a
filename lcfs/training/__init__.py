"""Training one net: the session and its state, the loop, the step, and what is measured at the end."""
