"""The command line: one file a command, each imported only when it is used. All but `run` and `lint` speak to the read API."""
