"""The words that every room uses: names of things, frozen results, errors with their exit codes,
files that are private and appear whole, work spread over threads, and `decision`, the only `>=`.

It imports nothing of facecli, and holds only what two rooms need.
"""
