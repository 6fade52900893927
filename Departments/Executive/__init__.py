"""The Executive: the CEO reviews and approves a plan, executes it in phases, and reports."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # modules of a project beside ours
