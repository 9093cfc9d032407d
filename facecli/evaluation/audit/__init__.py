"""What is probably wrong with a gallery: one list, most certain first.

findings: what is told. photos: which are others now. evidence: what scores come to without a fault.
checks: one fault each. blocks: all against all in bounded memory. audit: the checks in turn, and
what they add up to.
It may import what `evaluation` may. It must never change the gallery: it is given its references.
"""
