"""The port to a broker (`base`) and its two adapters: Alpaca and the simulated exchange."""
