"""
Step types, one file each: pure functions from stored results and current answers to what comes next (DESIGN part 3).

They say *what* to apply and *what* to wait for; the engine renders, applies and looks. `catalog.STEP_TYPES` names them all.
"""
