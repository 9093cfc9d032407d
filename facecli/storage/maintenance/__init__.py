"""Whole gallery files: copied, repaired, erased from, encrypted."""
