import json
from urllib.parse import quote


def handler(event, context):
    about = event["requestContext"]
    room = json.loads(about.get("state", '"lobby"'))
    if about["eventType"] == "CONNECT":
        return answer("welcome", {"Gateway-Join": "lobby", "Gateway-Post": "self"})
    if about["eventType"] == "DISCONNECT":
        return answer("somebody left", {"Gateway-Post": "group " + quote(room, safe="")})
    message = json.loads(event["body"])
    if message.get("enter", room) != room:
        return answer("you are in " + message["enter"], {
            "Gateway-Leave": quote(room, safe=""),
            "Gateway-Join": quote(message["enter"], safe=""),
            "Gateway-State": json.dumps(message["enter"]),
        })
    return answer(message.get("text", "?"), {"Gateway-Post": "group " + quote(room, safe="") + "; except=self"})


def answer(body, headers):
    return {"statusCode": 200, "headers": headers, "body": body}
