"""The imperative shell: which stage comes next, and the effects that it needs.

    plan ─> stress ─> compress ─> gate ─┬────────────────> claim ─> execute ─> verify
                                        └─> approve ───────^
    (after an approval: plan, stress, compress and gate run again over what is on record, and the digest must be the same)

Each stage is one class in one file of `stages`. It reads through ports, has the domain judge, and returns an outcome;
only the runner orders stages and writes status. Nothing here knows kopf, HTTP or a product.
"""
