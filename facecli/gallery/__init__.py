"""What a library user holds: `Gallery`, an open storage with the models that made it.

gallery: the object. enroll, identify, watch, verify, re_embed: a verb each, where photos, models
and storage meet. loaded_models: the models, loaded when first used. Who is enrolled is asked of
`Gallery.storage` itself.
It may import every room but `report` and `cli`. It must never print, know an option of the command
line, or what kind of storage is behind a gallery; only `re_embed` works on gallery files alone.
"""
