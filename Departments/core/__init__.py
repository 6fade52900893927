"""Shared values and rules without I/O. What touches the machine is in `platform`."""
