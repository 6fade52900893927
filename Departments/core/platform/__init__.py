"""The machine: its clock, its files, locks between processes, and the names of durable steps."""
