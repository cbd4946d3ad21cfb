"""An npm registry on loopback with the tarballs of a folder: `npx` and `npm install` work as with the real one."""

import base64
import functools
import hashlib
import http.server
import json
import tarfile
import threading
import urllib.parse

LARGEST_MANIFEST = 1024 * 1024  # bytes


def _manifest(tarball):
    with tarfile.open(tarball) as archive:
        return json.loads(archive.extractfile("package/package.json").read(LARGEST_MANIFEST))


class Registry:
    """`more` are manifests without a tarball: packages of other platforms, which must not be installed here."""

    def __init__(self, folder, more=()):
        self.tarballs = {path.name: path for path in folder.glob("*.tgz")}
        manifests = [(path.name, _manifest(path)) for path in self.tarballs.values()]
        here = {manifest["name"] for _, manifest in manifests}
        manifests += [("missing.tgz", manifest) for manifest in more if manifest["name"] not in here]
        self.manifests = {manifest["name"]: (file, manifest) for file, manifest in manifests}
        self.downloads = []
        handler = functools.partial(_Handler, self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.digests = {name: hashlib.sha512(path.read_bytes()).digest() for name, path in self.tarballs.items()}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def document(self, name):
        """What the registry says of a package, or None."""
        if name not in self.manifests:
            return None
        file, manifest = self.manifests[name]
        dist = {"tarball": f"{self.url}-/{file}", "shasum": "0" * 40}
        if file in self.digests:
            dist = {"tarball": dist["tarball"], "integrity": f"sha512-{base64.b64encode(self.digests[file]).decode()}"}
        version = manifest["version"]
        return {"name": name, "dist-tags": {"latest": version}, "versions": {version: manifest | {"dist": dist}}}


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, registry, *arguments):
        self.registry = registry
        super().__init__(*arguments)

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = urllib.parse.unquote(self.path.split("?")[0]).lstrip("/")
        if path.startswith("-/"):
            file = path.removeprefix("-/")
            self.registry.downloads.append(file)
            tarball = self.registry.tarballs.get(file)
            return self._answer(tarball and tarball.read_bytes(), "application/octet-stream")
        document = self.registry.document(path)
        return self._answer(document and json.dumps(document).encode(), "application/json")

    def _answer(self, content, kind):
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")
