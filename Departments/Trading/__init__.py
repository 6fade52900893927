"""Trading: turns approvals into orders, exactly once, and tracks and reports each to its end."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)  # modules of a project beside ours
