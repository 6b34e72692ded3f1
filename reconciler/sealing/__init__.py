"""Encrypted documents of the repository, decrypted in memory."""
