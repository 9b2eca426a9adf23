"""Starts a runtime in a finished tree, gives it one event by a Runtime API of its own, and checks the answer.

    rehearse.py ROOT HANDLER WANTED COMMAND...      (environment for the runtime: NAME=VALUE lines on standard input)

What a base image is for is tried before anybody depends on it. The process is asked to end (SIGTERM) after its answer, so
that a Java archive of loaded classes is written at its exit.
"""

import http.server
import json
import os
import subprocess
import sys
import threading

EVENT = b'{"key1": "value1"}'


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.served:
            # Asking for the next event is the proof that the first was handled to its end. There is no next one.
            self.server.asked_again.set()
            self.server.closing.wait()
            self.close_connection = True
            return
        self.server.served = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(EVENT)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:rehearsal")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0")
        self.end_headers()
        self.wfile.write(EVENT)

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answer = (self.path.rsplit("/", 1)[1], body.decode(errors="replace"))

    def log_message(self, *args):
        pass


def main():
    root, handler, wanted, *command = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.daemon_threads = True
    server.served, server.answer = False, None
    server.asked_again, server.closing = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    environment |= {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "rehearsal",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/rehearsal",
        "AWS_LAMBDA_LOG_STREAM_NAME": "rehearsal",
        "AWS_REGION": "us-east-1",
        "LANG": "en_US.UTF-8",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TZ": ":UTC",
        "_HANDLER": handler,
    }

    def enter():
        os.chroot(root)
        os.chdir("/var/task")

    process = subprocess.Popen(command, env=environment, preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    for _ in range(600):
        if server.asked_again.wait(0.1) or process.poll() is not None:
            break
    ended = process.poll()
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    server.closing.set()
    if server.answer is None:
        sys.exit(f"the runtime gave no answer (its exit status: {process.returncode})")
    if not server.asked_again.is_set():
        sys.exit(f"the runtime answered, but did not ask for another event (its exit status: {ended})")
    kind, body = server.answer
    if kind != "response" or json.loads(body or "null") != json.loads(wanted):
        sys.exit(f"the runtime answered with {kind} {body}, not with {wanted}")


main()
