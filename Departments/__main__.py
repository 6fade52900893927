"""Where `departments` and `python -m Departments` begin: a Ctrl-C counts while the rest is still being read."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from Departments.cli import main as command_line  # noqa: PLC0415 - takes a second, in which Ctrl-C may come
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
