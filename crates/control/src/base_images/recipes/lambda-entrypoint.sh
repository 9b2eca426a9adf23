#!/bin/sh
# What AWS's images have as their entry point: the argument is the handler.
if [ $# -ge 1 ]; then export _HANDLER="$1"; fi
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
    echo "lambda-entrypoint.sh: AWS_LAMBDA_RUNTIME_API is not set" >&2
    exit 1
fi
for bootstrap in /var/task/bootstrap /opt/bootstrap /var/runtime/bootstrap; do
    if [ -x "$bootstrap" ]; then exec "$bootstrap"; fi
done
echo "lambda-entrypoint.sh: there is no bootstrap in /var/task, /opt or /var/runtime" >&2
exit 1
