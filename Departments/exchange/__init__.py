"""An Alpaca-like exchange in a SQLite file of its own. README.md shows its use.

state       the seed file: cash, positions, prices, and behaviour
records     an order and a fill as the exchange keeps them, the table of statuses, its errors
storage     the SQLite file: schema, transactions
book        the contents of the file: orders, fills, cash, positions
accounting  the account and the positions, out of the book
prices      static prices, a seeded random walk, or recorded bars; quotes
rules       pure checks of a new order, in Alpaca's order and with Alpaca's codes
matching    runs due events: activation, fills, triggers, cancels, expiry
faults      a script of failures
exchange    its calls, and the floor for its operator
"""
