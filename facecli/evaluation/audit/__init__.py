"""What is probably wrong with a gallery: one list, most certain first. Nothing is changed here.

findings: what is told. evidence: what scores come to without a fault. checks: one fault each.
blocks: all against all in bounded memory. listing: the checks in turn, and what they add up to.
"""
