"""Values and rules without I/O that every other room shares."""
