"""What `reconciler demo` is made of: a folder, a daemon on it, what is seen of both, the stations, and the play."""
