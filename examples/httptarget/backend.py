"""The backend of the chat as an HTTP service. It never holds a socket.

The gateway sends each event as a POST whose headers say what it is (routeKey,
connectionId, callbackUrl); what the service answers goes back to the client.
To write to others it posts to their callback URL. Standard library only.
"""

import http.client
import http.server
import json
import sys
import threading
import time
import urllib.parse

MAX_ROOM, MAX_NICKNAME, MAX_TEXT, MAX_MEMBERS = 40, 24, 1000, 100


class Refusal(Exception):
    """An error whose text is meant for the client."""


class Rooms:
    """The rooms and their members. A service of several processes would keep them in
    a database."""

    def __init__(self):
        self.lock = threading.Lock()  # never held across a post
        self.last_id = 0
        self.version = 0
        self.members = {}  # by connection ID, in the order of joining

    def join(self, connection_id, room, nickname, callback):
        with self.lock:
            there = [c for c, m in self.members.items() if m["room"] == room and c != connection_id]
            if len(there) >= MAX_MEMBERS:
                raise Refusal("the room is full")
            before = self.members.pop(connection_id, None)
            self.last_id += 1
            self.version += 1
            member = {"id": self.last_id, "nickname": nickname, "room": room, "callback": callback}
            self.members[connection_id] = member
            return member, before

    def leave(self, connection_id):
        with self.lock:
            member = self.members.pop(connection_id, None)
            if member:
                self.version += 1
            return member

    def get(self, connection_id):
        with self.lock:
            member = self.members.get(connection_id)
        if not member:
            raise Refusal("join a room first")
        return member

    def list(self, room):
        with self.lock:
            return [(c, m) for c, m in self.members.items() if m["room"] == room], self.version


rooms = Rooms()


def encode(frame):
    return json.dumps(frame, separators=(",", ":")).encode()


def log(message, **facts):
    print(message, *(f"{name}={value}" for name, value in facts.items()), file=sys.stderr, flush=True)


def post(callback, data):
    """Posts to a connection and returns the status: 200, or 410 if it has gone."""
    url = urllib.parse.urlsplit(callback)
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    try:
        connection.request("POST", url.path, body=data)
        return connection.getresponse().status
    finally:
        connection.close()


def broadcast(room, frame):
    """Posts to all members of room, and returns whether any of them has gone."""
    data = encode(frame)
    gone = False
    for connection_id, member in rooms.list(room)[0]:
        if post(member["callback"], data) == 410:
            rooms.leave(connection_id)
            gone = True
    return gone


def push_members(room):
    while True:
        members, version = rooms.list(room)
        names = [{"id": m["id"], "nickname": m["nickname"]} for _, m in members]
        if not broadcast(room, {"type": "members", "room": room, "members": names, "version": version}):
            return


def text_of(message, name, most, one_line=True):
    value = message.get(name) or ""
    if not isinstance(value, str):
        raise Refusal(f"{name} must be text")
    value = " ".join(value.split()) if one_line else value.strip()
    if not value:
        raise Refusal(f"{name} is missing")
    if len(value) > most:
        raise Refusal(f"{name} has {len(value)} characters, {most} are allowed")
    return value


def join(event, message):
    room, nickname = text_of(message, "room", MAX_ROOM), text_of(message, "nickname", MAX_NICKNAME)
    member, before = rooms.join(event["connectionId"], room, nickname, event["callbackUrl"])
    if before and before["room"] != room:
        push_members(before["room"])
    push_members(room)
    log("joined", connection_id=event["connectionId"], post=f"curl -X POST --data 'hello from curl' '{event['callbackUrl']}'")
    return {"type": "joined", "room": room, "nickname": nickname, "member": member["id"],
            "connectionId": event["connectionId"]}


def send_message(event, message):
    text = text_of(message, "text", MAX_TEXT, one_line=False)
    member = rooms.get(event["connectionId"])
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if broadcast(member["room"], {"type": "message", "room": member["room"], "nickname": member["nickname"],
                                  "member": member["id"], "text": text, "sentAt": now}):
        push_members(member["room"])


def leave(event, message):
    member = rooms.get(event["connectionId"])
    rooms.leave(event["connectionId"])
    push_members(member["room"])
    return {"type": "left", "room": member["room"]}


def disconnect(event, message):
    log("disconnected", connection_id=event["connectionId"], status=event["status"])
    member = rooms.leave(event["connectionId"])
    if member:
        push_members(member["room"])


def fail(event, message):
    raise RuntimeError("the route fail always fails")  # closes the HTTP connection: the client gets an error frame


def help_(event, message):
    return {"type": "help", "routes": ["join", "sendmessage", "leave", "fail"], "connectionId": event["connectionId"]}


ROUTES = {"$connect": lambda event, message: None, "$disconnect": disconnect, "join": join,
          "sendmessage": send_message, "leave": leave, "fail": fail, "$default": help_}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the gateway's connections open

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            message = json.loads(body) if body else {}
        except ValueError:
            message = {}
        try:
            answer = ROUTES[self.headers["routeKey"]](self.headers, message if isinstance(message, dict) else {})
        except Refusal as refusal:
            answer = {"type": "error", "message": str(refusal), "requestId": self.headers["requestId"]}
        data = encode(answer) if answer else b""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()  # ends with its parent
    server.serve_forever()
