"""The limits of `config/hard_constraints.yaml`, and the engine that judges orders by them.

limits    the file as typed values
amounts   the limits as amounts of one day, for planner and checks alike
checks    one pure function per constraint
case      the input and output of a check
table     one row per constraint: code, stages, check, keys
engine    check_order, check_plan, check_desk
headroom  the unused part of each limit
"""
