"""Alpaca through alpaca-py: `broker.connect` gives a broker. alpaca-py itself is imported only when one is made.

Facts of the vendor that the code names are from alpaca-py 0.44, https://docs.alpaca.markets and its OpenAPI.
"""
