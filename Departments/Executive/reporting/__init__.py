"""The final status of a plan, generated from the ledger: as a document, as Markdown, for the terminal."""
