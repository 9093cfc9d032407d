"""The gallery file: the only SQL there is, and what lies beside the file.

`store.GalleryFile` writes, and holds the `reader`, the journal (`undo`) and the `audit_log`.
`reference_rows` and `subject_rows` are the tables' columns, which `schema` makes and a file is held
to; `deletion` erases people, and `erasure_check` looks for what is left of them, by `byte_search`.
`connection` is the only way into the file, `sqlcipher` into an encrypted one; `guard` is what each
statement is held to, `values` what is read. `files_beside` are the files around it, and
`consistency` finds what is wrong with it.
It may import `search`, which proposes who is alike, `interface`, `records` and `keys`. It must
never know Milvus, photos, or what a threshold means.
"""
