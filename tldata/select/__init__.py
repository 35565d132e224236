"""Choose trajectories: by condition, without duplicates and evaluation questions, sampled, balanced, split."""

from tldata.select.pipeline import Selection, select

__all__ = ["Selection", "select"]
