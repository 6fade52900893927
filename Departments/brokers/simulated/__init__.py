"""A simulated exchange that behaves like Alpaca, kept in a SQLite file of its own.

state         the file that seeds it: cash, positions, prices, and how it behaves
transitions   order statuses and events: one table
records       one order as the exchange keeps it
storage       the SQLite file: schema, transactions
book          what stands in the file: orders, fills, cash, positions
prices        static prices, a seeded random walk, or recorded bars
refusals      Alpaca's refusals, with their codes and bodies
rules         pure checks of a new order, in Alpaca's order
matching      pure: may this order trade at this price
engine        lets time pass: activation, fills, triggers, cancels, expiry
faults        a script of what goes wrong, and when
exchange      the broker port
"""
