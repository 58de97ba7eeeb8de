"""How texts are taken apart and compared, whichever store holds them.

A store finds candidates in its own way; what they are worth is decided here, from the words alone, so that the same documents
are found by the same questions wherever they are kept. Nothing in here reads or writes.
"""
