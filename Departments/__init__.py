"""A trading desk of departments that talk through Markdown messages.

Executive   reviews, approves and executes the plan in phases; reports
Operations  plans: what to sell, what to buy, how many shares
Regime      classifies the market and reports it
Trading     turns approvals into orders, exactly once, and tracks them
messaging   the files between them · constraints  the limits, for planner and trader alike
ledger      what happened (SQLite) · brokers  the simulated exchange and Alpaca behind one port
exchange    an Alpaca-like exchange in a file, a product of its own
core        values without I/O: orders, facts, plans, money, settings, errors · core/platform  clock, files, locks
bootstrap   plugs the departments of a desk together, on their plumbing; cli  the command `departments`
migration   puts the desk into an older system's project, and takes it out again

Departments of a project beside this package stay importable; of modules of the same name ours come first.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
