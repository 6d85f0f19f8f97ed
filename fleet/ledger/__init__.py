"""The ledger: what was asked, promised, tried, decided and made. The only shared state there is.

Writes go through `ledger.Ledger`, reading through `reader.LedgerReader`.
"""
