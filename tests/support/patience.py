"""How long a test waits for what must come: for as long as a busy machine may need.

Tests follow progress: a line, a file, the end of a process. This bound only ends what would never
end; no test may depend on how fast anything is. What is bounded is counted, or measured in
processor time.
"""

LAST_RESORT = 600.0  # s
