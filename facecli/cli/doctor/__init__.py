"""Is everything in order? `examine` looks; what fails is a check at fault, never an exception.

`runtime`, `devices`, `disk` (folders and models) and `enrolled` (the gallery) look at a part each;
`diagnosis` is what they give, `listing` how it reads, `command` the command line. It may import
what `cli` may. It must never import what may be broken before it is ready to say so: numpy, cv2,
onnxruntime and FAISS are loaded one by one, inside.
"""
