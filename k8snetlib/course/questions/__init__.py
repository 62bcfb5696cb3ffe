"""The predictions of the lessons, one module each: ``q02.QUESTIONS`` holds those of lesson 02 (see :mod:`k8snetlib.course.prediction`)."""
