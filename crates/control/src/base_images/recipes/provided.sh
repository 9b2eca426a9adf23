# A runtime that the package brings itself: the operating system only.
step "downloading Debian packages ($SUITE)"
# The examples of AWS's documentation for custom runtimes use curl.
debian "$ROOT" "$SUITE" $COMMON $PACKAGES curl
layout

if is_native; then
    step "trying the image"
    cat >"$ROOT/var/task/bootstrap" <<'EOF'
#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
    curl -sS -D /tmp/headers -o /tmp/event "$api/next"
    id=$(tr -d '\r' </tmp/headers | sed -n 's/^lambda-runtime-aws-request-id: //Ip')
    curl -sS -X POST --data-binary @/tmp/event "$api/$id/response"
done
EOF
    chmod 755 "$ROOT/var/task/bootstrap"
    COMMAND=/var/task/bootstrap rehearse function '{"key1": "value1"}'
fi
finish
