"""Trading: approvals become orders, exactly once; every order is tracked until it is terminal and reported."""
