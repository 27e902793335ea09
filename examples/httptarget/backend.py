"""The backend of the chat as an HTTP service: it holds no socket, keeps no table and makes no call.

The gateway sends each event as a POST. Its headers say what it is: routeKey, connectionId, for
$join and $leave Gateway-Group, and Gateway-State is what an earlier answer let the connection
remember. The headers of the answer say what to do: Gateway-Join and -Leave change the groups of
the connection, Gateway-State is what it remembers, and Gateway-Post says who gets the body. Without
it the body goes back to the client. Standard library only.

Nobody here knows who is in a room. When somebody comes, each member greets the new one.

On AWS this service would still answer help, joined, left and errors. But AWS ignores the headers
and has no $join and $leave: a message would go back to its sender alone. There the members are kept
in a table, and each message is a call for each of them, as in examples/lambda.
"""

import hashlib
import http.server
import json
import re
import sys
import threading
import time
from urllib.parse import quote, unquote

MAX_ROOM, MAX_NICKNAME, MAX_TEXT = 30, 24, 1000


class Refusal(Exception):
    """An error whose text is meant for the client."""


def log(message, **facts):
    print(message, *(f"{name}={value}" for name, value in facts.items()), file=sys.stderr, flush=True)


def member_id(event):
    """What other members see of a connection. They never see its connection ID, because
    everybody who knows that ID can post to the connection."""
    return hashlib.sha256(event["connectionId"].encode()).hexdigest()[:16]


def group(kind, name):
    """The name of a group, as the headers want it."""
    return quote(f"{kind}:{name}", safe="")


def state_of(event):
    """The room and the nickname of a connection that has joined a room."""
    if not event["Gateway-State"]:
        raise Refusal("join a room first")
    return json.loads(event["Gateway-State"])


def room_of(event):
    """The room of a $join or a $leave, or None if it is about another group."""
    kind, _, name = unquote(event["Gateway-Group"]).partition(":")
    return name if kind == "room" else None


def text_of(message, name, most, one_line=True):
    value = "" if message.get(name) is None else message[name]
    if not isinstance(value, str):
        raise Refusal(f"{name} must be text")
    value = value.encode(errors="replace").decode()  # half a character has no UTF-8
    value = (re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", value) if one_line else value).strip()
    if not value:
        raise Refusal(f"{name} is missing")
    if len(value) > most:
        raise Refusal(f"{name} has {len(value)} characters, {most} are allowed")
    return value


# Each route returns the body of the answer, and its headers.


def connect(event, message):
    """Each connection gets a group of its own. Who knows the member ID can be allowed to use
    it, without knowing the connection ID."""
    return None, {"Gateway-Join": group("member", member_id(event))}


def join(event, message):
    room, nickname = text_of(message, "room", MAX_ROOM), text_of(message, "nickname", MAX_NICKNAME)
    headers = {"Gateway-Join": group("room", room), "Gateway-State": json.dumps({"room": room, "nickname": nickname})}
    if event["Gateway-State"]:
        before = state_of(event)["room"]
        if before == room:
            raise Refusal("you are in this room already")
        headers["Gateway-Leave"] = group("room", before)
    log("joined", connection_id=event["connectionId"])
    return {"type": "joined", "room": room, "nickname": nickname, "member": member_id(event),
            "connectionId": event["connectionId"]}, headers


def came(event, message):
    """$join: tells the others who has come, and asks them to greet."""
    room = room_of(event)
    if room is None:
        return None, {}
    return {"type": "came", "room": room, "nickname": state_of(event)["nickname"], "member": member_id(event),
            "greet": True}, {"Gateway-Post": f"group {group('room', room)}; except=self"}


def greet(event, message):
    """Tells a new member that the sender is there, too."""
    if not event["Gateway-State"]:
        return None, {}  # it has left meanwhile
    to, state = text_of(message, "to", 16), state_of(event)
    return {"type": "here", "room": state["room"], "members": [{"id": member_id(event), "nickname": state["nickname"]}]}, {
        "Gateway-Post": f"group {group('member', to)}"}


def went(event, message):
    """$leave: a member has left, or its connection has closed."""
    room = room_of(event)
    if room is None:
        return None, {}
    return {"type": "went", "room": room, "member": member_id(event)}, {"Gateway-Post": f"group {group('room', room)}; except=self"}


def send_message(event, message):
    text, state = text_of(message, "text", MAX_TEXT, one_line=False), state_of(event)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"type": "message", **state, "member": member_id(event), "text": text, "sentAt": now}, {
        "Gateway-Post": f"group {group('room', state['room'])}"}


def leave(event, message):
    room = state_of(event)["room"]
    return {"type": "left", "room": room}, {"Gateway-Leave": group("room", room), "Gateway-State": ""}


def disconnect(event, message):
    log("disconnected", connection_id=event["connectionId"], status=event["status"])
    return None, {}


def fail(event, message):
    raise RuntimeError("the route fail always fails")  # closes the HTTP connection: the client gets an error frame


def help_(event, message):
    return {"type": "help", "routes": ["join", "sendmessage", "leave", "fail"], "connectionId": event["connectionId"]}, {}


ROUTES = {"$connect": connect, "$disconnect": disconnect, "$join": came, "$leave": went, "join": join, "greet": greet,
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
            answer, headers = ROUTES[self.headers["routeKey"]](self.headers, message if isinstance(message, dict) else {})
        except Refusal as refusal:
            answer, headers = {"type": "error", "message": str(refusal), "requestId": self.headers["requestId"]}, {}
        data = json.dumps(answer, separators=(",", ":")).encode() if answer else b""
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()  # ends with its parent
    server.serve_forever()
