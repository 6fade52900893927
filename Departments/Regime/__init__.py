"""The Regime department: assesses what kind of market it is, for those who plan and approve."""
