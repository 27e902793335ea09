# An HTTP backend for answers_test.go, with the standard library alone.
import http.server
import json
import sys
import threading
from urllib.parse import quote, unquote


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        groups = self.headers.get("Gateway-Groups")
        known = {
            "state": json.loads(self.headers.get("Gateway-State", "null")),
            "groups": [unquote(name) for name in groups.split(", ")] if groups else [],
        }
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if "set" in message:
            self.send_header("Gateway-State", json.dumps(message["set"]))
            self.send_header("Gateway-Join", ", ".join(quote(name, safe="") for name in message["join"]))
        if "raw" in message:
            self.send_header("Gateway-State", message["raw"])
        if "bye" in message:
            self.send_header("Gateway-Close", "4001 " + quote(message["bye"]))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
