"""The checks of the exercises, one module each: ``ex03`` holds the questions 03.1, 03.2, … (see :mod:`k8snetlib.course.checking`)."""
