"""Pages of a foreign, an allowed and the local cloud's own origin, in Chromium, on a running local cloud.

The foreign page tries what it could do before the local cloud had a guard: invoke a function as somebody else, read and write the
tables, put events on the bus, and, with its name rebound to loopback, read an administrator's token. Each attempt is first made
without a browser, where it succeeds, so that none fails for another reason. Chromium's own protection of the local network is
off, for not every browser has one. Speaks the DevTools protocol over a pipe, with nothing but Python's library.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ALLOWED = "http://localhost:5173"  # The template's default for `CorsOrigins`.
FOREIGN = "evil.example"
TIMEOUT_S = 120
PROJECTION_S = 2  # After this, an account that was opened is in the list.


class Browser:
    """Chromium, with pages that scripts run in."""

    def __init__(self, folder, rules):
        (here, out), (into, there) = os.pipe(), os.pipe()
        self.write, self.read = os.fdopen(there, "wb"), os.fdopen(here, "rb")

        def pipes():
            # Chromium reads from descriptor 3 and writes to descriptor 4.
            os.dup2(into, 200), os.dup2(out, 201)
            os.dup2(200, 3), os.dup2(201, 4)

        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
                 "--disable-features=LocalNetworkAccessChecks", f"--user-data-dir={folder}",
                 f"--host-resolver-rules={rules}", "about:blank"]
        self.process = subprocess.Popen([sys.argv[2], *flags], preexec_fn=pipes, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(into), os.close(out)
        self.calls, self.buffer = 0, b""

    def call(self, method, session=None, **params):
        self.calls += 1
        message = {"id": self.calls, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.write.write(json.dumps(message).encode() + b"\0")
        self.write.flush()
        while True:
            while b"\0" not in self.buffer:
                more = os.read(self.read.fileno(), 1 << 16)
                assert more, "Chromium has gone"
                self.buffer += more
            text, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.calls:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def open(self, url):
        """A page with this address, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        loaded = "new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))"
        gone = self.call("Page.navigate", session, url=url)
        assert "errorText" not in gone, (url, gone)
        self.run(session, loaded)
        return session

    def run(self, session, script):
        """The value of an expression in a page; an exception is a text that begins with `Error`."""
        script = f"(async () => {script})().catch(error => 'Error: ' + error)"
        result = self.call("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
        return result["result"].get("value")


class Page(http.server.BaseHTTPRequestHandler):
    """A page with nothing in it."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>page</title>")

    def log_message(self, *_):
        pass


def send(url, body=None, headers=()):
    """The answer to a request from no browser."""
    request = urllib.request.Request(url, data=body and body.encode(), headers=dict(headers))
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return answer.read().decode()


def fetch(url, **options):
    """A script that sends a request, and gives status and text of the answer as far as the page may see them."""
    asked = f"fetch({json.dumps(url)}, {json.dumps(options)})"
    return f"{asked}.then(async answer => [answer.type, answer.status, await answer.text()])"


def socket(url):
    """A script that opens a WebSocket."""
    return (f"new Promise(done => {{ const socket = new WebSocket({json.dumps(url)}); "
            "socket.onopen = () => done('open'); socket.onerror = () => done('refused') })")


def expect(what, seen, good):
    assert good, f"{what}: {seen}"
    print(f"ok: {what}")


def main(said):
    api = re.search(r"^ready (\S+)", said, re.M)[1]
    engine = re.search(r"DynamoDB\s+(\S+)", said)[1]
    bus = re.search(r"EventBridge\s+(\S+)", said)[1]
    api_port = api.rsplit(":", 1)[1]
    token = send(f"{api}/_local/tokens/alice")
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x/20261126/us-east-1/dynamodb/aws4_request, "
                               "SignedHeaders=host, Signature=0", "x-amz-date": "20261126T120000Z"}
    json_type = {"content-type": "application/json"}

    def accounts():
        return len(json.loads(send(f"{api}/accounts", headers={"authorization": f"Bearer {token}"}))["items"])

    def await_accounts(number):
        return any(accounts() == number for _ in range(200))

    # An event that opens an account as alice, as API Gateway would hand it on.
    event = json.loads(pathlib.Path("../infra/events/account-commands.json").read_text())
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = "alice"
    event["headers"].pop("idempotency-key", None)
    invoke = f"{api}/2015-03-31/functions/account-commands/invocations"
    scan = json.dumps({"TableName": "accounts"})
    scan_headers = {**signed, "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.Scan"}
    put = json.dumps({"Entries": [{"EventBusName": "daybook", "Source": "evil", "DetailType": "x", "Detail": "{}"}]})
    put_headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSEvents.PutEvents"}

    # Without a browser all of it works: this is what the guard has to keep pages from.
    made = json.loads(send(invoke, json.dumps(event)))
    expect("without a browser an invocation works", made, made["statusCode"] < 300)
    expect("without a browser the tables can be read", "", "Items" in json.loads(send(engine, scan, scan_headers)))
    expect("without a browser an event is taken", "", json.loads(send(bus, put, put_headers))["FailedEntryCount"] == 0)
    admin = send(f"{api}/_local/tokens/admin")
    assert admin.count(".") == 2
    expect("alice's accounts are listed", accounts(), await_accounts(before := 1))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rules = f"MAP {FOREIGN} 127.0.0.1, MAP localhost:5173 127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(folder, rules)
        try:
            tries(browser, locals())
        finally:
            browser.process.terminate()
            browser.process.wait()


def tries(browser, given):
    api, engine, bus = given["api"], given["engine"], given["bus"]
    event, invoke, scan, put = (given[name] for name in ["event", "invoke", "scan", "put"])

    foreign = browser.open(f"http://{FOREIGN}:{given['server'].server_port}/")
    origin = browser.run(foreign, "location.origin")
    assert FOREIGN in origin, origin
    seen = browser.run(foreign, fetch(invoke, method="POST", mode="no-cors", body=json.dumps(event)))
    # The page does not see the answer; what counts is that nothing happened.
    expect("a foreign page's invocation without a preflight", seen, seen[0] == "opaque")
    for what, url, body, headers in [
        ("an invocation", invoke, json.dumps(event), given["json_type"]),
        ("a look into the tables", engine, scan, given["scan_headers"]),
        ("an event for the bus", bus, put, given["put_headers"]),
        ("a token", f"{api}/_local/tokens/admin", None, {}),
        ("the environment", f"{api}/_local/environment", None, {}),
        ("the API", f"{api}/accounts", None, {"authorization": f"Bearer {given['token']}"}),
    ]:
        options = {"headers": headers, **({"method": "POST", "body": body} if body else {})}
        seen = browser.run(foreign, fetch(url, **options))
        expect(f"a foreign page does not get {what}", seen, str(seen).startswith("Error"))
    for url in [api, engine, bus]:
        seen = browser.run(foreign, socket(url.replace("http", "ws")))
        expect("a foreign page gets no WebSocket", seen, seen == "refused")

    # The page's name now leads to the local cloud, so that the browser takes it for the page's own origin.
    for port, path in [(given["api_port"], "/_local/tokens/admin"), (engine.rsplit(":", 1)[1], "/")]:
        rebound = browser.open(f"http://{FOREIGN}:{port}{path}")
        shown = browser.run(rebound, "document.body.innerText")
        expect("a rebound name shows no answer", shown, "only requests to 127.0.0.1" in shown)
        seen = browser.run(rebound, fetch(path))
        expect("a rebound page reads no answer", seen, seen[1] == 421 and given["admin"][:20] not in seen[2])
        seen = browser.run(rebound, fetch(path, method="POST", headers=given["scan_headers"], body=scan))
        expect("a rebound page has nothing done", seen, seen[1] == 421)

    allowed = browser.open(f"{ALLOWED}/")
    seen = browser.run(allowed, fetch(f"{api}/accounts", headers={"authorization": f"Bearer {given['token']}"}))
    expect("a page of the allowed origin reads from the API", seen, seen[0] == "cors" and seen[1] == 200)
    body, headers = json.dumps({"currency": "EUR"}), {**given["json_type"], "authorization": f"Bearer {given['token']}"}
    seen = browser.run(allowed, fetch(f"{api}/accounts", method="POST", body=body, headers=headers))
    expect("a page of the allowed origin writes to the API", seen, seen[1] == 201)
    for url in [f"{api}/_local/tokens/admin", f"{api}/_local/environment", engine, bus]:
        seen = browser.run(allowed, fetch(url))
        expect("a page of the allowed origin gets nothing else", seen, str(seen).startswith("Error"))
    seen = browser.run(allowed, fetch(invoke, method="POST", mode="no-cors", body=json.dumps(event)))
    expect("its invocation without a preflight", seen, seen[0] == "opaque")

    for host in ["127.0.0.1", "localhost"]:
        own = browser.open(f"http://{host}:{given['api_port']}/")
        wait = "new Promise(done => { const look = () => document.querySelector('details') ? done('shown') : setTimeout(look, 50); look() })"
        expect(f"the page at {host} shows the contract", "", browser.run(own, wait) == "shown")

    # One account of the request that was allowed, and none of the invocations from pages.
    assert given["await_accounts"](given["before"] + 1)
    time.sleep(PROJECTION_S)
    expect("nothing happened but what was allowed", given["accounts"](), given["accounts"]() == given["before"] + 1)


main(pathlib.Path(sys.argv[1]).read_text())
