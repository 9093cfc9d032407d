"""How well it works on photos of your own: 1:1 and 1:N with strangers, by one command.

plan: what is compared with what. acquire: photos to templates. comparisons: 1:1.
searches: 1:N. mistakes: the worst cases. run: all of it.
"""

from facecli.evaluation.comparisons import Verification
from facecli.evaluation.mistakes import Kind, Mistake, Shown
from facecli.evaluation.plan import Plan, Source, read
from facecli.evaluation.run import Evaluation, evaluate
from facecli.evaluation.searches import Identification

__all__ = [
    "Evaluation",
    "Identification",
    "Kind",
    "Mistake",
    "Plan",
    "Shown",
    "Source",
    "Verification",
    "evaluate",
    "read",
]
