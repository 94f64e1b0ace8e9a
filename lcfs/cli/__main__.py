"""`python -m lcfs.cli`, as torchrun starts it."""

from lcfs.cli.dispatch import main

if __name__ == "__main__":
    main()
