"""What is said between the parts: envelopes, payloads, plans, lanes, artifacts, decisions.

Pure types and pure functions: no input or output, no clock, no chance.
"""
