"""The program's entry point, also `python -m service`; silent if interrupted during imports."""

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
