"""The program's entry, also `python -m service`: quiet even if it is interrupted while it is imported."""

import sys


def main() -> None:
    """Import the program and run it."""
    try:
        from service.cli.main import main as program

        program()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
