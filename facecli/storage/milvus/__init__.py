"""Galleries in Milvus: a server for very many people, or milvus-lite in a folder.

address: where. client: the engine, its time limits and errors. tables: what is stored, row by row.
answers, vault: reading, writing. ranker: who is most alike. erasing: what goes, what may remain.
"""
