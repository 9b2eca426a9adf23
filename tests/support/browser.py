"""A real browser, Debian's chromium, driven without a window through chromedriver (W3C WebDriver, https://www.w3.org/TR/webdriver2/)."""

import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess

from . import leaks
from .server import clean_environment, free_port
from .waiting import until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

# Nothing is fetched but what a test asks for, and nothing of the browser's own stands in the way: whatever is refused is refused by
# the server. Chromium's sandbox does not work for root.
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
            "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-default-apps", "--disable-breakpad", "--no-proxy-server", "--window-size=1000,700",
            "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable"]


class Browser:
    """One browser with a fresh profile. `names` are host names that lead to 127.0.0.1."""

    def __init__(self, directory, names=()):
        self.profile = pathlib.Path(directory)
        self.profile.mkdir(parents=True)
        self.port = free_port()
        self.log = open(self.profile / "driver.log", "wb")
        self.driver = subprocess.Popen([shutil.which("chromedriver"), f"--port={self.port}"], stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=self.log, start_new_session=True, env=clean_environment(HOME=str(self.profile)))
        self.session = None
        try:
            until(self._ready, 30, "chromedriver is ready")
            rules = ", ".join(f"MAP {name} 127.0.0.1" for name in names)
            options = {"binary": shutil.which("chromium"), "args": [
                *SWITCHES, f"--user-data-dir={self.profile / 'profile'}", *([f"--host-resolver-rules={rules}"] if rules else [])]}
            capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
            self.session = self._ask("POST", "/session", {"capabilities": capabilities})["sessionId"]
        except BaseException:
            self.close()
            raise

    def _ready(self):
        try:
            return self._ask("GET", "/status")["ready"]
        except OSError:
            return False

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        assert not (isinstance(value, dict) and "error" in value), f"{value['error']}: {value['message'][:2000]}"
        return value

    def _in_session(self, method, path, body=None):
        return self._ask(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        """Goes to a page, as by its address bar."""
        self._in_session("POST", "/url", {"url": url})

    def url(self):
        """Where the page is."""
        return self._in_session("GET", "/url")

    def text(self):
        """What a person reads on the page."""
        body = self._in_session("POST", "/element", {"using": "css selector", "value": "body"})[ELEMENT]
        return self._in_session("GET", f"/element/{body}/text")

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function in the page, as its own script would be; returns what it returns."""
        wrapped = ("const done = arguments[arguments.length - 1];"
                   f"(async (...given) => {{ {script} }})(...Array.from(arguments).slice(0, -1))"
                   ".then(value => done(value === undefined ? null : value), error => done({failed: String(error)}));")
        return self._in_session("POST", "/execute/async", {"script": wrapped, "args": list(arguments)})

    def screenshot(self, file):
        """Keeps a picture of the page as PNG."""
        pathlib.Path(file).write_bytes(base64.b64decode(self._in_session("GET", "/screenshot")))

    def _left(self):
        mark = str(self.profile)
        return [pid for pid, (_, state, command) in leaks.processes().items() if mark in command and state != "Z"]

    def close(self):
        """Ends the browser and all its processes."""
        try:
            if self.session:
                self._in_session("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)
            for pid in self._left():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            until(lambda: not self._left(), 20, lambda: f"the browser ended: {self._left()}")
            self.log.close()
