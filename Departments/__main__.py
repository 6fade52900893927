"""`python -m Departments` is the command `departments`."""

from Departments.cli import main

main()
