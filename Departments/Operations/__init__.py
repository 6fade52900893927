"""Operations: what to sell, what to buy and how many shares, always within the limits."""
