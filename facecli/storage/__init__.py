"""Where galleries are kept: a file (`sqlite`), or a Milvus server (`milvus`), behind `interface`.

`opening` tells by its path which one a gallery is. `search` ranks a file's subjects, `maintenance`
works on whole files; `copying`, `export` and `receipt` take a gallery of either kind. `records` are
the rows that go in and out, `keys` what a file is encrypted with.
It may import `metrics` and `common`. It must never know a photo's pixels or a model, nor decide who
somebody is: it keeps thresholds, retrieval ranks, and `common.decision` accepts.
"""
