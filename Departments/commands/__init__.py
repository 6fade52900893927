"""The commands of the terminal, one module each: arguments → one call → output."""
