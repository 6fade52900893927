# Compliance Department
