"""An object store (moto's) and a web server on this machine, which fail in the usual ways if told to."""

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import moto.s3.models
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
        """The object's bytes; None if it is not there."""
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
        self.breaks = []
        """After how many bytes the next answers break off."""
        self.status = 200
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                web._answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _answer(self, http):
        asked_range = http.headers.get("Range", "")
        self.asked.append((http.command, http.path, asked_range, http.headers.get("Authorization", "")))
        data = self.files.get(http.path.partition("?")[0])
        if data is None or self.status != 200:
            http.send_error(self.status if self.status != 200 else 404)
            return
        start = int(asked_range[6:].rstrip("-")) if asked_range and self.knows_ranges else 0
        http.send_response(206 if start else 200)
        http.send_header("Content-Length", str(len(data) - start))
        if self.tells_versions:
            http.send_header("ETag", f'"{hash(data)}"')
        http.end_headers()
        if http.command == "GET":
            end = start + self.breaks.pop(0) if self.breaks else len(data)
            http.wfile.write(data[start:end])
            if end < len(data):
                time.sleep(0.2)  # so that what was sent is read before the end is seen

    def close(self):
        self._server.shutdown()
        self._server.server_close()
