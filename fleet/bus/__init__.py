"""The bus: the one adapter over azure-servicebus, for Azure and for localbus alike.

Its words are ours (`WireMessage`, `Delivery`); SDK types and errors stop here.
"""
