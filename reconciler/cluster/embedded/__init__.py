"""A cluster in this process: one SQLite file, the same objects, controllers on a clock that tests can turn. No container runs."""
