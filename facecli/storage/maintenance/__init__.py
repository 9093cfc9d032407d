"""Whole gallery files: copied, repaired, encrypted. It works on files, so it imports `sqlite`.

It must never know Milvus, and destroys nothing before the new file is whole.
"""
