"""One file a step type. Pure: a step answers what it wants done (DESIGN part 3)."""
