"""One file a command or pair of commands: arguments in, exit code out."""
