"""The gallery file: the only SQL there is, and what lies beside the file."""
