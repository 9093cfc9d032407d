"""Results to text: tables for people, JSON and CSV for programs, HTML pages and pictures.

formats: any result. decisions: identify and verify. people: enrol, and who is enrolled.
maintenance: undo, purge, check, log, encrypt, copy, re-embed. threshold, evaluation*, audit: as
their commands. annotate: boxes in a photo. plots, thumbnails: what a page holds; html: how a page
is made. May import every room below it, and does so for types only where it can. It must never
print, decide, nor know a command's options: it takes results and returns strings or pictures.
"""
