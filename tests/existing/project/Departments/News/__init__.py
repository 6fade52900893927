# News Department
