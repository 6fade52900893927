"""The Regime department: says what kind of market it is, to those who use it."""
