"""A script of an older program. It touches nothing here."""
