"""What a web page can do to a development server, in a real browser: nothing. And the console, which is for browsers.

Development keys are public, so a page could sign requests with them. Here pages of other origins and a page under a rebound name
try, with correct signatures; the same requests from elsewhere are shown to work, so that the page is what is refused.
"""

import base64
import http.server
import json
import re
import struct
import threading

import pytest

from support import sigv4
from support.browser import Browser
from support.clients import ROLE, client
from support.functions import ECHO, create
from support.server import Server
from support.zips import package

FUNCTIONS = "/2015-03-31/functions"
TARGET = "target"
# An origin of the same site (another port of this address), and one of another site.
ORIGINS = ["127.0.0.1", "attacker.example"]
REBOUND = "rebind.example"

# Sends one request and answers with all that the page can learn from it.
FETCH = """
const [url, options] = given;
try {
    const answer = await fetch(url, options);
    return {type: answer.type, status: answer.status, text: await answer.text(), headers: [...answer.headers]};
} catch (error) {
    return {refused: String(error)};
}
"""

# Submits a form in a frame and waits until the frame has an answer.
FORM = """
const [url, method, fields, policy] = given;
const frame = document.createElement("iframe");
frame.name = "frame" + Math.random();
document.body.appendChild(frame);
if (policy) {
    const meta = document.head.appendChild(document.createElement("meta"));
    meta.name = "referrer"; meta.content = policy;
}
const form = document.body.appendChild(document.createElement("form"));
Object.assign(form, {action: url, method, target: frame.name, enctype: "text/plain"});
for (const [name, value] of Object.entries(fields)) {
    const field = form.appendChild(document.createElement("input"));
    Object.assign(field, {name, value});
}
const loaded = new Promise(resolve => frame.addEventListener("load", resolve));
form.submit();
await loaded;
let seen = null;
try { seen = frame.contentDocument && frame.contentDocument.body.innerText; } catch (error) { seen = null; }
return {seen};
"""

# Loads an address as an image, a script and a style sheet.
EMBED = """
const [url] = given;
const outcomes = {};
for (const [kind, name] of [["img", "src"], ["script", "src"], ["link", "href"]]) {
    const element = document.createElement(kind);
    if (kind === "link") element.rel = "stylesheet";
    const ended = new Promise(resolve => { element.onload = () => resolve("loaded"); element.onerror = () => resolve("error"); });
    element[name] = url;
    document.body.appendChild(element);
    outcomes[kind] = await ended;
}
return outcomes;
"""


class Page(http.server.BaseHTTPRequestHandler):
    """The attacker's page."""

    def do_GET(self):
        body = b"<!doctype html><title>A page</title><body>Hello"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def target(places, base_images):
    """A development server with one function."""
    base_images("python3.13")
    server = Server(places / "browsed")
    server.start()
    try:
        create(client(server), TARGET, ECHO, Environment={"Variables": {"SECRET": "canary"}})
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def attacker():
    """The port of the attacker's web server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(target, attacker, places):
    browser = Browser(places / "browser", [REBOUND, "attacker.example"])
    yield browser
    browser.close()


@pytest.fixture(params=ORIGINS)
def page(request, browser, attacker):
    """The browser, on a page of another origin."""
    browser.open(f"http://{request.param}:{attacker}/")
    return browser


def invocations(server):
    """How many invocations there were."""
    text = server.request("GET", "/_bojagi/metrics")[2].decode()
    return sum(int(count) for count in re.findall(r"^bojagi_invocations_total\{.*\} (\d+)$", text, re.MULTILINE))


@pytest.fixture
def untouched(target):
    """Checks after the test that nothing was made, changed, deleted or run meanwhile."""
    mine = client(target)

    def state():
        return mine.list_functions()["Functions"], mine.get_account_settings()["AccountUsage"], invocations(target)

    before = state()
    assert [function["FunctionName"] for function in before[0]] == [TARGET]
    yield
    assert state() == before


def signed(server, method, path, body="", host=None, **headers):
    """Fetch options of a correctly signed request. The browser itself adds the Host that is signed."""
    given = {"content-type": "application/json", **headers, **({"host": host} if host else {})}
    made = sigv4.sign(server, method, path, body, headers=given)
    made.pop("host")
    return {"method": method, "headers": made, **({"body": body} if body else {})}


def creation():
    archive = base64.b64encode(package({"app.py": ECHO})).decode()
    return json.dumps({"FunctionName": "intruder", "Runtime": "python3.13", "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": archive}})


# Every kind of request that matters: method, path, body.
REQUESTS = {
    "list": ("GET", f"{FUNCTIONS}", ""),
    "read": ("GET", f"{FUNCTIONS}/{TARGET}", ""),
    "create": ("POST", FUNCTIONS, creation()),
    "invoke": ("POST", f"{FUNCTIONS}/{TARGET}/invocations", '"hi"'),
    "delete": ("DELETE", f"{FUNCTIONS}/{TARGET}", ""),
}


def learnt_nothing(outcome):
    """A page that may not read an answer gets an error or an opaque answer."""
    return "refused" in outcome or (outcome["type"] == "opaque" and outcome["status"] == 0 and outcome["text"] == "" and outcome["headers"] == [])


# ---- pages of other origins -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_page_of_another_origin_cannot_send_signed_requests(page, target, untouched, kind):
    method, path, body = REQUESTS[kind]
    outcome = page.run(FETCH, target.url + path, signed(target, method, path, body))
    assert "refused" in outcome, outcome


@pytest.mark.parametrize("kind", REQUESTS)
def test_nor_presigned_ones_that_need_no_header(page, target, untouched, kind):
    # Without `Authorization` a GET or POST is "simple": the browser sends it before it asks anybody.
    method, path, _ = REQUESTS[kind]
    url = target.url + sigv4.presign(target, method, path)
    for mode in ("cors", "no-cors"):
        if mode == "cors" or method != "DELETE":
            outcome = page.run(FETCH, url, {"method": method, "mode": mode})
            assert learnt_nothing(outcome), outcome


def test_nor_load_a_presigned_address_as_an_image_or_a_script(page, target, untouched):
    path = sigv4.presign(target, "GET", FUNCTIONS)
    assert page.run(EMBED, target.url + path) == {"img": "error", "script": "error", "link": "error"}


@pytest.mark.parametrize("policy", [None, "no-referrer"])
def test_nor_post_a_form(page, target, untouched, policy):
    # With the policy the form says `Origin: null`.
    invoke = sigv4.presign(target, "POST", f"{FUNCTIONS}/{TARGET}/invocations")
    for path in (invoke, "/_bojagi/reset", FUNCTIONS):
        assert page.run(FORM, target.url + path, "post", {}, policy) == {"seen": None}
        assert page.run(FORM, target.url + path, "post", {'{"FunctionName": "intruder", "x': '"}'}, policy) == {"seen": None}


def test_nor_go_there(page, target, untouched):
    url = target.url + sigv4.presign(target, "GET", FUNCTIONS)
    page.run("setTimeout(() => { location.href = given[0] }, 0)", url)
    page.run("while (document.readyState !== 'complete') await new Promise(resolve => setTimeout(resolve, 5))")
    assert TARGET not in page.text()


def test_nor_reset_the_server(page, target, untouched):
    url = target.url + "/_bojagi/reset"
    for headers in ({}, {"x-bojagi-reset": "1"}):
        for mode in ("cors", "no-cors"):
            outcome = page.run(FETCH, url, {"method": "POST", "headers": headers, "mode": mode})
            assert learnt_nothing(outcome), outcome


def test_nor_read_what_is_open_to_everybody(page, target):
    for path in ("/_bojagi/health", "/_bojagi/metrics", "/_bojagi/console", "/"):
        outcome = page.run(FETCH, target.url + path, {})
        assert "refused" in outcome, f"{path}: {outcome}"


def test_the_preflight_is_not_answered_with_permission(target, attacker):
    asked = {"origin": f"http://127.0.0.1:{attacker}", "access-control-request-method": "POST", "access-control-request-headers": "x-bojagi-reset"}
    for path in ("/_bojagi/reset", FUNCTIONS, "/"):
        status, headers, _ = target.request("OPTIONS", path, headers=asked)
        assert status >= 400 and not [name for name in headers if name.startswith("access-control-")], (path, status, headers)


# ---- a page under a rebound name --------------------------------------------------------------------------------------------------------


@pytest.fixture
def rebound(browser, target):
    """The browser, on a page whose origin is the server's own port under the attacker's name."""
    browser.open(f"http://{REBOUND}:{target.port}/_bojagi/console")
    assert browser.run("return location.host") == f"{REBOUND}:{target.port}"
    return browser


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_page_under_a_rebound_name_cannot_send_signed_requests(rebound, target, untouched, kind):
    method, path, body = REQUESTS[kind]
    # Of its own origin: nothing is asked before, and it may read the answer, which is a refusal and no more.
    outcome = rebound.run(FETCH, path, signed(target, method, path, body, host=f"{REBOUND}:{target.port}"))
    assert outcome["status"] == 403 and f"The host name '{REBOUND}:{target.port}' is not known" in outcome["text"], outcome
    assert TARGET not in outcome["text"] and "canary" not in outcome["text"]


def test_nor_reset_the_server_or_read_its_figures(rebound, target, untouched):
    outcome = rebound.run(FETCH, "/_bojagi/reset", {"method": "POST", "headers": {"x-bojagi-reset": "1"}})
    assert outcome["status"] == 403, outcome
    assert rebound.run(FETCH, "/_bojagi/metrics", {})["status"] == 403


# ---- what is refused above works elsewhere ----------------------------------------------------------------------------------------------


def test_the_same_requests_work_outside_of_pages(target):
    status, _, body = sigv4.request(target, "GET", FUNCTIONS)
    assert status == 200 and TARGET.encode() in body
    before = invocations(target)
    path = sigv4.presign(target, "POST", f"{FUNCTIONS}/{TARGET}/invocations")
    assert target.request("POST", path)[0] == 200
    assert invocations(target) == before + 1
    status, _, body = target.request("GET", sigv4.presign(target, "GET", FUNCTIONS))
    assert status == 200 and TARGET.encode() in body


def test_the_servers_own_page_may_send_them(browser, target):
    browser.open(target.url + "/_bojagi/console")
    outcome = browser.run(FETCH, FUNCTIONS, signed(target, "GET", FUNCTIONS))
    assert outcome["status"] == 200 and TARGET in outcome["text"], outcome
    path = f"{FUNCTIONS}/{TARGET}/invocations"
    outcome = browser.run(FETCH, path, signed(target, "POST", path, '"from the page"'))
    assert (outcome["status"], outcome["text"]) == (200, '"from the page"'), outcome


# ---- the console ------------------------------------------------------------------------------------------------------------------------


def test_a_browser_that_opens_the_server_sees_the_console(browser, target, tmp_path):
    browser.open(target.url + "/")
    assert browser.url() == target.url + "/_bojagi/console"
    text = browser.text()
    assert "Bojagi" in text and target.url in text
    assert browser.run("return document.title") == "Bojagi"
    picture = tmp_path / "console.png"
    browser.screenshot(picture)
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG") and struct.unpack(">II", content[16:24])[0] >= 900
