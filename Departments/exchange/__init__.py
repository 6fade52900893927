"""An Alpaca-like exchange in a SQLite file of its own. README.md shows its use.

state       the seed file: cash, positions, prices, and behaviour
field_types the typed values of its files
listings    the symbols: of the seed, later ones, splits, renames
records     an order and a fill as the exchange keeps them, the table of statuses, its errors
storage     the SQLite file: schema, transactions
book        the contents of the file: orders, fills, cash, positions
accounting  the account and the positions, out of the book
prices      static prices, a seeded random walk, or recorded bars; quotes
rules       pure checks of a new order, in Alpaca's order and with Alpaca's codes
entry       takes a new order: judges it, gives it its records
replacing   new terms for a live order
matching    runs due events: activation, fills, triggers, cancels, expiry
market_events  what happens from outside: money, splits, renames, halts, orders of strangers
actions     lets these events happen, each with its booking
schedule    events to come, in the order of time beside the orders
account_log the bookings, as account activities
foreign     options, spreads, crypto, and rows that cannot be read
faults      a script of failures
striking    strikes with them
derivation  ids and chance derived from names
exchange    its calls
floor       the view and the hands of its operator
"""

#: The sentence about a symbol without a price, for the log, the plan and the report.
NO_PRICE = (
    "The simulated exchange knows no price of {0}; add it to the briefing or to --prices FILE, "
    "or set it: departments exchange price {0} DOLLARS"
)
