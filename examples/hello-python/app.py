r"""A greeting, with what the function can see of where it runs.

    Package it:  zip hello.zip app.py
    Deploy it:   aws lambda create-function --function-name hello --runtime python3.13 --handler app.handler \
                     --role arn:aws:iam::000000000000:role/hello --zip-file fileb://hello.zip
    Invoke it:   aws lambda invoke --function-name hello --payload fileb://event.json answer.json
"""

import os
import platform
import sys


def handler(event, context):
    name = event.get("name", "world") if isinstance(event, dict) else "world"
    print(f"greeting {name}, request {context.aws_request_id}")
    return {
        "message": f"Hello, {name}!",
        "function": context.function_name,
        "version": context.function_version,
        "memory": f"{context.memory_limit_in_mb} MB",
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "taskRoot": os.environ["LAMBDA_TASK_ROOT"],
        "remainingMilliseconds": context.get_remaining_time_in_millis(),
        "runtimeOnPath": "/var/runtime" in sys.path,
    }
