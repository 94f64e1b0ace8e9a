"""β-LASSO, and the update that it makes: one rule, in three forms that give the same numbers bit for bit."""

from lcfs.optim.beta_lasso import BetaLasso, parameter_groups

__all__ = ["BetaLasso", "parameter_groups"]
