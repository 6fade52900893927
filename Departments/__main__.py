"""The entry of `departments` and `python -m Departments`. A Ctrl-C counts even during the imports."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from Departments.cli import main as command_line  # noqa: PLC0415 - a Ctrl-C may come during this second
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
