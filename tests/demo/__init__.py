"""The demo: the whole path on a real API server, from `kubectl apply` to a restart that people released.

Everything in it is real: the control plane, the operator's process, every kubectl command, and the audit log that counts
what was touched. It ends with a table, and fails when anything differs from what must happen (`expected`).

    PYTHONPATH=tests python -m demo [--slow] [--keep]
"""
