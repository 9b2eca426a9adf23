"""A web page in a real browser against a development server: the keys are public, so nothing but the server itself keeps the page out."""

import contextlib
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import pytest

from support import sigv4
from support.clients import client
from support.functions import create, fresh_name
from support.waiting import until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--virtual-time-budget=8000", "--dump-dom"]

# Asks for each request in turn and writes down what came of it.
PAGE = """<!doctype html><meta charset="utf-8"><body><pre id="out"></pre><script>
(async () => {
  const out = {};
  for (const [name, url, options] of PLAN) {
    try {
      const answer = await fetch(url, options);
      out[name] = answer.type === "opaque" ? "opaque" : answer.status + " " + (await answer.text()).slice(0, 200);
    } catch (error) { out[name] = "failed"; }
  }
  document.getElementById("out").textContent = JSON.stringify(out);
})();
</script></body>"""


@contextlib.contextmanager
def page(plan):
    """Serves a page, from an origin of its own, that carries the plan out; gives its address."""

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = PAGE.replace("PLAN", json.dumps(plan)).encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as pages:
        thread = threading.Thread(target=pages.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{pages.server_address[1]}/"
        pages.shutdown()
        thread.join()


@pytest.fixture
def browse(tmp_path):
    """Loads an address in the browser and returns the document that came of it."""
    assert CHROMIUM, "chromium is not there: `scripts/install test` installs it"

    def load(address, *flags):
        done = subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, address], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    yield load


def outcome(document):
    """What the page wrote down."""
    found = re.search(r'<pre id="out">(.*?)</pre>', document, re.DOTALL)
    assert found and found[1], document[-2000:]
    return json.loads(html.unescape(found[1]))


def test_a_page_can_neither_read_nor_change_anything(new_server, browse):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name("kept"))
    functions = "/2015-03-31/functions/"

    def signed(method, path, body=b"", **more):
        headers = {key: value for key, value in sigv4.sign(server, method, path, body, **more).items() if key != "host"}
        return {"method": method, "headers": headers, **({"body": body.decode()} if body else {})}

    query = "Action=GetCallerIdentity&Version=2011-06-15"
    plan = [
        ["read", server.url + functions, signed("GET", functions)],
        ["delete", f"{server.url}{functions}{name}", signed("DELETE", functions + name)],
        ["simple", f"{server.url}/", {"method": "POST", "body": query, "headers": {"content-type": "application/x-www-form-urlencoded"}}],
        ["presigned", server.url + sigv4.presign(server, "GET", functions), {}],
        ["presigned unseen", server.url + sigv4.presign(server, "POST", f"{functions}{name}/invocations"), {"method": "POST", "mode": "no-cors"}],
        ["reset", f"{server.url}/_bojagi/reset", {"method": "POST", "mode": "no-cors"}],
        ["reset with a body", f"{server.url}/_bojagi/reset", {"method": "POST", "mode": "no-cors", "body": "yes", "headers": {"content-type": "text/plain"}}],
    ]
    with page(plan) as address:
        found = outcome(browse(address))
    for kind in ("read", "delete", "simple", "presigned"):
        assert found[kind] == "failed", found
    assert [each["FunctionName"] for each in mine.list_functions()["Functions"]] == [name]


def test_a_page_whose_name_was_rebound_to_this_machine_is_kept_out(server, browse):
    # The page's own host name now resolves to the server: for the browser it is one origin, so only the Host header tells.
    rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    host = f"rebound.example:{server.port}"
    document = browse(f"http://{host}{sigv4.presign(server, 'GET', '/2015-03-31/functions/', host=host)}", rules)
    assert "Functions" not in document and "signature" not in document, document
    # The same browser reaches the same server by its own name.
    until(lambda: "Functions" in browse(f"http://127.0.0.1:{server.port}{sigv4.presign(server, 'GET', '/2015-03-31/functions/')}"), 60, "the server's own name works")
