import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Rooms(BaseHTTPRequestHandler):
    def do_POST(self):
        message = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        event, user = self.headers["eventType"], self.headers["Gateway-Principal"]
        if event == "CONNECT":
            self.answer("welcome", {"Gateway-Join": "lobby", "Gateway-Post": "self"})
        elif event == "JOIN":
            self.answer(f"{user} is here", {"Gateway-Post": f"group {self.headers['Gateway-Group']}; except=self"})
        elif event == "LEAVE":
            self.answer(f"{user} has left", {"Gateway-Post": f"group {self.headers['Gateway-Group']}"})
        else:  # MESSAGE: for each group of its sender
            groups = self.headers["Gateway-Groups"].split(", ")
            self.answer(f"{user}: {message}", {"Gateway-Post": ", ".join(f"group {name}" for name in groups)})

    def answer(self, body, commands):
        self.send_response(200)
        for name, value in commands.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 9000), Rooms)
print("listening on", server.server_port, flush=True)
server.serve_forever()
