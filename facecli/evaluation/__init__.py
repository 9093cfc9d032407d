"""How well it works on photos of your own: 1:1 and 1:N with strangers, by one command.

plan: what is compared with what. acquire: photos to templates. comparisons: 1:1.
searches: 1:N. mistakes: the worst cases. run: all of it. audit/: what is wrong with the labels.
It may import `threshold` and what lies below. It must never write a gallery, or a report.
"""
