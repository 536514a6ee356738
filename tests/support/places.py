"""An object store (moto's), a web server and a hub's data set, on this machine; some fail if told to."""

import base64
import hashlib
import json
import logging
import threading
import time
from urllib.parse import parse_qs

import moto.s3.models
from listener import Listener, body_of, send
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class ObjectStore:
    """Speaks what S3 speaks. `asked` has each request, as method, path and query."""

    def __init__(self):
        self.asked = []
        self.denied = lambda _request: False
        """Tells of a request whether it gets 403."""
        self.held = lambda _request: False
        """Tells of a request whether it waits until `go_on` is set."""
        self.go_on = threading.Event()
        moto.s3.models.S3_UPLOAD_PART_MIN_SIZE = 1000
        self._app = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def _answer(self, environ, start_response):
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['QUERY_STRING']}".strip()
        self.asked.append(request)
        if self.held(request):
            self.go_on.wait(60)
        if self.denied(request):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"" if request.startswith("HEAD") else DENIED]
        return self._app(environ, start_response)

    def reset(self):
        self.asked.clear()
        self.denied = self.held = lambda _request: False
        self.go_on.clear()

    def bucket(self, name, **files):
        """Make a bucket."""
        self._backend.create_bucket(name, "us-east-1")
        for key, data in files.items():
            self.put(name, key, data)

    def put(self, bucket, key, data):
        self._backend.put_object(bucket, key, data)

    def get(self, bucket, key):
        """The object's bytes; None if it does not exist."""
        found = self._backend.get_object(bucket, key)
        return None if found is None else found.value

    def keys(self, bucket):
        return sorted(self._backend.buckets[bucket].keys)

    def parts(self, bucket):
        """How many parts are there of uploads that are not whole."""
        return sum(len(each.parts) for each in self._backend.buckets[bucket].multiparts.values())

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


class WebServer:
    """Serves `files` by their paths. `asked` has each request's method, path, range and credentials."""

    def __init__(self):
        self.files = {}
        self.asked = []
        self.knows_ranges = True
        self.tells_versions = True
        self.answers_head = True
        """False as with addresses that are signed for GET."""
        self.breaks = []
        """After how many bytes the next answers break off."""
        self.redirects = {}
        """Where paths lead to."""
        self.told_bytes = 0
        """What HEAD says that there are, if it lies; GET then says nothing."""
        self._server = Listener(self._answer)
        self.host = self._server.url.removeprefix("http://")
        self.close = self._server.close

    def _answer(self, http):
        asked_range = http.headers.get("Range", "")
        self.asked.append((http.command, http.path, asked_range, http.headers.get("Authorization", "")))
        if (to := self.redirects.get(http.path)) is not None:
            send(http, 302, Location=to)
            return
        data = self.files.get(http.path.partition("?")[0])
        if data is None or (http.command == "HEAD" and not self.answers_head):
            http.send_error(404 if data is None else 403)
            return
        start = int(asked_range[6:].rstrip("-")) if asked_range and self.knows_ranges else 0
        http.send_response(206 if start else 200)
        if http.command == "HEAD" or not self.told_bytes:
            http.send_header("Content-Length", str(self.told_bytes or len(data) - start))
        if self.tells_versions:
            http.send_header("ETag", f'"{hash(data)}"')
        http.end_headers()
        if http.command == "GET":
            end = start + self.breaks.pop(0) if self.breaks else len(data)
            http.wfile.write(data[start:end])
            if end < len(data):
                time.sleep(0.2)  # so that what was sent is read before the end is seen


class DataSet:
    """The hub with one data set, `me/set`, whose `files` are read and, by commits, written."""

    def __init__(self):
        self.files = {}
        self._server = Listener(self._answer)
        self.url = self._server.url
        self.close = self._server.close

    def _answer(self, http):
        path = http.path.partition("?")[0]
        body = body_of(http)
        if path.startswith("/datasets/me/set/resolve/main/"):
            data = self.files[path.removeprefix("/datasets/me/set/resolve/main/")]
            first, last = map(int, http.headers["Range"][6:].split("-"))
            return send(http, 206, data[first : last + 1])
        if path == "/api/whoami-v2":
            is_known = http.headers.get("Authorization") == "Bearer hf_token"
            return send(http, 200 if is_known else 401, b"{}")
        what = path.removeprefix("/api/datasets/me/set").partition("/main")[0]
        answers = {
            "": lambda: {"id": "me/set", "sha": "abc", "siblings": []},
            "/tree": lambda: [self._fact(name) for name in self.files],
            "/paths-info": lambda: [
                self._fact(n) for n in parse_qs(body.decode())["paths"] if n in self.files
            ],
            "/preupload": lambda: {
                "files": [
                    {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for each in json.loads(body)["files"]
                ]
            },
            "/commit": lambda: self._commit(body),
        }
        found = answers.get(what)
        return send(http, 404, b"{}") if found is None else send(http, 200, json.dumps(found()).encode())

    def _fact(self, name):
        data = self.files[name]
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def _commit(self, body):
        for told in map(json.loads, body.splitlines()):
            if told["key"] == "file":
                self.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
        return {"commitUrl": f"{self.url}/datasets/me/set/commit/abc", "commitOid": "abc", "success": True}
