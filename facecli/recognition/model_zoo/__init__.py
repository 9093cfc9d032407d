"""Which models there are, and how they run.

What a model is (`specs`), which there are and whether their files are whole (`registry`), and how
onnxruntime runs one on a device (`sessions`). Embedders that facecli does not ship come from a file
(`add`) or from their publisher (`pull`): examined by `check`, made faster by `optimise`. It may
import `common`. It must never know a photo, and uses the network in `pull` alone.
"""
