"""Settings of the machine, beside the scripts. Not in version control."""

LIVE_TRADING = False
ALLOW_DEV_RERUNS = False
APCA_API_KEY_ID = "PKSTANDIN0000000000"
APCA_API_SECRET_KEY = "stand-in-secret-of-nobody"
APCA_API_BASE_URL = "https://paper-api.alpaca.markets"
APCA_API_DATA_FEED = "iex"
OPENAI_API_KEY = ""
PERPLEXITY_API_KEY = ""
ALPACA_PAPER_TRADING_ENABLED = False
GMAIL_APP_PASSWORD = ""
