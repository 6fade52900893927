"""The desk's records in SQLite: plans, phases, orders, fills, rejections and the ids of handled messages."""
