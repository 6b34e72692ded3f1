"""Git: open, watch, diff, read, edit, commit. The only importer of `pygit2` and `watchfiles`."""
