# Executive Department
