"""The Executive: the CEO reviews and approves a plan, executes it in phases, and reports."""
