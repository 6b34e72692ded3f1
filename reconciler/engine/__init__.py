"""The imperative shell: key queue, runner, effect executors, store, heal, prune, write-back."""
