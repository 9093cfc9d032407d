"""Galleries in Milvus: a server for very many people, or milvus-lite in a folder.

`address`: where. `client`: the engine, its time limits and errors. `layout`: the collections and
their rows. `reader`, `store`: reading, writing. `ranker`: who is most alike. `erasure`: what goes,
what may remain. Of the storage it may import `interface` and `records`. It must never know SQLite,
nor load pymilvus before a gallery in Milvus is named (0.7 s).
"""
