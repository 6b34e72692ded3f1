"""Annotations to decisions. Pure: parsing is a total function (rule 4f)."""
