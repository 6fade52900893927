"""An exchange that behaves like Alpaca, kept in a SQLite file of its own. README.md says how to use it.

state       the file that seeds it: cash, positions, prices, and its behaviour
records     an order and a fill as the exchange keeps them, the table of statuses, its errors
storage     the SQLite file: schema, transactions
book        what the file holds: orders, fills, cash, positions
accounting  the account and the positions, out of the book
prices      static prices, a seeded random walk, or recorded bars; quotes
rules       pure checks of a new order, in Alpaca's order and with Alpaca's codes
matching    runs what is due: activation, fills, triggers, cancels, expiry
faults      a script of failures
exchange    its calls, and the floor for its operator
"""
