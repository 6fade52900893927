"""The Risk Department. It has no part in the daily plan."""


class RiskDepartment:
    def __init__(self, db_path="sentinel.db"):
        self.db_path = db_path
