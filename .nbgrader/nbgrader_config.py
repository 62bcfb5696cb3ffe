"""Settings for teachers: nbgrader works from this folder on the project's own solutions/ and exercises/.

    cd .nbgrader
    nbgrader generate_assignment 02-pods-on-one-node --force    # solutions/ -> exercises/, as `k8snet build` cut them, and the gradebook row
    # collect the students' notebooks into submitted/STUDENT/02-pods-on-one-node/
    nbgrader autograde 02-pods-on-one-node
    nbgrader generate_feedback 02-pods-on-one-node
    nbgrader export

A student's values depend on the id in the exercise's cell `case = variant("02", "ID")`. To refuse a notebook that was solved under another
student's id, grade each student's with the id expected: `K8SNET_SEED=ann nbgrader autograde 02-pods-on-one-node --student ann`.

Everything that is about students stays in this folder, and out of git: gradebook.db, submitted/, autograded/, feedback/, grades.csv.
"""

from pathlib import Path

here = Path(__file__).resolve().parent
c = get_config()  # noqa: F821  (given by nbgrader)

c.CourseDirectory.root = str(here.parent)
c.CourseDirectory.db_url = f"sqlite:///{here / 'gradebook.db'}"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = f"{here.name}/submitted"
c.CourseDirectory.autograded_directory = f"{here.name}/autograded"
c.CourseDirectory.feedback_directory = f"{here.name}/feedback"
