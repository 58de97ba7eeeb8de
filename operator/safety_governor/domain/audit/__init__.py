"""The audit trail: what is recorded, how the lines are chained, and how a trail is held against its chain.

events      what an event consists of, one type per kind
chain       one line: canonical JSON that names the hash of the line before
redaction   what looks like a secret is never written
proof       a whole trail against its chain, a line at a time
replay      recorded decisions, decided again
figures     what a trail says about the gate in sum
"""
