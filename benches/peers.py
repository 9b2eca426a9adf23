"""What Bojagi is measured against: AWS's Runtime Interface Emulator and plain processes, in the same base image."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

from support.server import BASE_IMAGES, CACHE, free_port
from support.waiting import until

HERE = pathlib.Path(__file__).resolve().parent


def emulator():
    """AWS's Runtime Interface Emulator, which the SAM CLI's wheel carries."""
    folder = CACHE / "bench"
    binary = folder / "aws-lambda-rie"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, "-r", HERE / "requirements.txt"], check=True)
        with zipfile.ZipFile(next(folder.glob("aws_sam_cli-*.whl"))) as wheel:
            binary.write_bytes(wheel.read("samcli/local/rapid/aws-lambda-rie-x86_64"))
        binary.chmod(0o755)
    return binary


def spawner():
    """The static program that starts commands and times them."""
    source = HERE / "spawn.rs"
    binary = CACHE / "bench" / f"spawn-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["rustc", "--edition", "2021", "-O", "-C", "target-feature=+crt-static", "-o", binary, source], check=True)
    return binary


class Root:
    """A base image mounted as a root directory, with a writable /tmp and the function's code at /var/task."""

    def __init__(self, runtime, code, directory):
        images = list((BASE_IMAGES / f"{runtime}-x86_64").glob("image-*.erofs"))
        assert len(images) == 1, f"one image of {runtime} in {BASE_IMAGES}: {images}"
        self.image, self.path = images[0], pathlib.Path(directory)
        self.code = code
        self.mounted = []

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        straight = subprocess.run(["mount", "-t", "erofs", "-o", "ro", self.image, self.path], capture_output=True)
        if straight.returncode != 0:
            subprocess.run(["mount", "-t", "erofs", "-o", "ro,loop", self.image, self.path], check=True)
        self.mounted.append(self.path)
        self._tmpfs(self.path / "tmp")
        self._tmpfs(self.path / "var/task")
        (self.path / "var/task/app.py").write_text(self.code)
        for name in ("dev", "proc"):
            subprocess.run(["mount", "--bind", f"/{name}", self.path / name], check=True)
            self.mounted.append(self.path / name)
        return self

    def _tmpfs(self, place):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        self.mounted.append(place)

    def __exit__(self, *_):
        for place in reversed(self.mounted):
            subprocess.run(["umount", "-l", place], check=True)

    def put(self, program):
        """Copies a program into the root's /tmp and returns its path inside."""
        shutil.copy2(program, self.path / "tmp" / program.name)
        return f"/tmp/{program.name}"

    def times(self, count, *command):
        """Microseconds that a command takes in this root, `count` times."""
        inside = self.put(spawner())
        done = subprocess.run([shutil.which("chroot"), self.path, inside, str(count), *command], env=self.environment(), check=True, capture_output=True, text=True)
        return [int(line) for line in done.stdout.split()]

    def environment(self):
        """What the interface client needs, as in the sandbox."""
        return {"PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC", "PYTHONPATH": "/var/runtime",
                "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "AWS_REGION": "us-east-1",
                "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "AWS_LAMBDA_FUNCTION_TIMEOUT": "300", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}

    @contextlib.contextmanager
    def emulated(self):
        """The emulator with the function in it; gives the port that it listens on."""
        port, api = free_port(), free_port()
        command = [shutil.which("chroot"), self.path, self.put(emulator()), "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
                   "--runtime-api-address", f"127.0.0.1:{api}", "--log-level", "error", "/var/runtime/bootstrap", "app.handler"]
        process = subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)

        def ready():
            assert process.poll() is None, f"the emulator ended with {process.returncode}"
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.connect()
                connection.close()
                return True

        try:
            until(ready, 20, "the emulator listens")
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
