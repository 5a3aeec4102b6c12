"""``python -m cfsso`` is the command ``cfsso``."""

from cfsso.cli import main

if __name__ == "__main__":
    main()
