"""The Portfolio Department. It has no part in the daily plan."""


class PortfolioDepartment:
    def __init__(self, db_path="sentinel.db"):
        self.db_path = db_path
