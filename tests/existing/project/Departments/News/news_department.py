"""The News Department: a sentiment for each ticker."""


class NewsDepartment:
    def __init__(self, db_path="sentinel.db", perplexity_api_key=None):
        self.db_path = db_path

    def get_sentiment_scores(self, tickers):
        return {
            ticker: {"sentiment_score": 50.0 + len(ticker) * 5, "news_summary": f"News of {ticker}",
                     "sentiment_reasoning": "counted letters", "age_hours": 1.0}
            for ticker in tickers
        }
