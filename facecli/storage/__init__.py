"""Where galleries are kept: a file (`sqlite`), or a Milvus server (`milvus`), behind `interface`.

`opening` tells by its path which one a gallery is. `search` ranks a file's subjects, `maintenance`
works on whole files; `copying`, `export` and `receipt` take a gallery of either kind. It may
import `metrics` and `common`, and must never know photos or thresholds: retrieval ranks,
`common.decision` accepts.
"""
