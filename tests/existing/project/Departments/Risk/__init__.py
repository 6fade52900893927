# Risk Department
