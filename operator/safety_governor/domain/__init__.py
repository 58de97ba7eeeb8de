"""Values and decisions of the governor.

Nothing here reads, writes, waits, logs or looks at a clock: whatever a decision needs is handed in, so that the
same input always gives the same verdict, in a test, in a replay and in production.
"""
