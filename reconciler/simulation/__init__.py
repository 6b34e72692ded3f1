"""A commit's workflows on a throw-away cluster, with the clock running ahead. Nothing is connected to, nothing stays."""
