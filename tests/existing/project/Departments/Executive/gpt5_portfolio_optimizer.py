"""The optimiser that is switched off."""


class GPT5PortfolioOptimizer:
    def __init__(self, api_key, model="gpt-4o"):
        self.model = model

    def optimize_portfolio(self, candidates, available_capital, market_conditions, current_positions=0,
                           max_positions=20, holdings=None):
        return candidates, "equal shares"
