"""One pure function per constraint.

account  the order itself, sizes, numbers and correlations of positions, cash, losses
stocks   volume, spread, price, size of the company; VIX, regime, drawdown
timing   hours, ages, locks, halts, day trades
"""
