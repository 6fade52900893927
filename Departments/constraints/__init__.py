"""The limits of `config/hard_constraints.yaml` and the one engine that judges orders by them.

limits   the file as typed values    checks   one pure function per constraint, and the amounts they compare with
case     what a check is given       engine   the table of constraints; check_order, check_plan
headroom how much of each limit is left          codes    the table of codes for the documentation
"""
