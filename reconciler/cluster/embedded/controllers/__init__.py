"""What moves the workloads: one module a kind, each a function from an object to the next state of the world."""
