"""The one exception that a user's mistake raises: a sentence that says what, where and how to mend it."""


class InputError(ValueError):
    """Bad input from outside: a file, a field or a combination of fields.

    The command line prints its message as one sentence and exits with code 2; nothing is left half-written.
    """
