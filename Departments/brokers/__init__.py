"""The port to a broker (`base`) and the two that plug into it: Alpaca and a simulated exchange."""
