"""What chapters need beside the road itself: comparisons, estimators, figures, names as shown.

from persona.study import compare, score
"""

from persona.study.comparison import compare, score

__all__ = ["compare", "score"]
