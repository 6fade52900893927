"""The Regime department: assesses the market for Operations and the Executive."""
