"""What a library user sees: an open gallery with its models, one module a verb.

It may import every room but `report` and `cli`, and must never print.
"""
