"""What the desk holds, does and needs a person for, at a moment: read from the ledger and the broker.

holdings   each position with its weight, profit, exits, origin
standing   the values of one moment, and their document
problems   what a person has to look at, each with its mend
past_days  the days: orders, cost, profit, equity
reading    reads all of it
"""
