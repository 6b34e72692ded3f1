"""Steps in Python that an operator has named: found, checked, and called so that none of them harms more than its own step (rules 8b, 13f)."""
