"""Kinds of rule, one file each; the file's name is the kind. The table of kinds is this folder."""
