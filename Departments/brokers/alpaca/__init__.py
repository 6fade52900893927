"""Alpaca through alpaca-py: `broker.connect` gives a broker. It imports alpaca-py only to make one.

Facts of the vendor that the code names are from alpaca-py 0.44, https://docs.alpaca.markets and its OpenAPI.
"""
