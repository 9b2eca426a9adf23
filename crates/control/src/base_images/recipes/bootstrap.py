# Starts the runtime interface client with AWS's search path: the function's code, layers, the runtime, the language.
import os
import site
import sys


def prepare_path():
    task = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    version = "python%d.%d" % sys.version_info[:2]
    first = [task, "/opt/python/lib/" + version + "/site-packages", "/opt/python", "/var/runtime"]
    sys.path[:] = first + [entry for entry in sys.path if entry not in first]
    # Packages may bring .pth files; directories that are known already are not added again.
    known = set(sys.path)
    for directory in first[:3]:
        if os.path.isdir(directory):
            site.addsitedir(directory, known)


prepare_path()

from awslambdaric.__main__ import main  # noqa: E402

main(["bootstrap", os.environ.get("_HANDLER", "")])
