"""What a lesson is made of: setup, predictions, checks, variants, facts, and the build of the notebooks themselves.

A lesson or an exercise needs these names and no others::

    from k8snetlib.course import ask, check, facts, predict, setup, variant
    setup()
"""

from __future__ import annotations

from k8snetlib.course.checking import NotYet, check, expect, question
from k8snetlib.course.facts import facts
from k8snetlib.course.formatters import setup
from k8snetlib.course.prediction import ask, predict
from k8snetlib.course.variants import Variant, variant

__all__ = ["NotYet", "Variant", "ask", "check", "expect", "facts", "predict", "question", "setup", "variant"]
