# Research Department
