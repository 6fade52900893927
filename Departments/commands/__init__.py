"""The commands of the terminal, a module each: argv → one call, and what a person sees of the answer."""
