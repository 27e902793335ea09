"""A handler as it is written for AWS."""

import json


def handler(event, context):
    route_key = event["requestContext"]["routeKey"]
    if route_key == "$connect":
        if event.get("queryStringParameters", {}).get("token") != "good":
            return {"statusCode": 401, "headers": {"X-Why": "token"}, "body": "who are you?"}
        offered = event["headers"]["Sec-WebSocket-Protocol"].split(",")
        return {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": offered[0].strip()}}
    if route_key == "$disconnect":
        return {"statusCode": 200}
    if route_key == "fail":
        raise ValueError("no database")
    if route_key == "odd":
        return {"statusCode": 200, "body": "x", "extra": True}
    if route_key == "nothing":
        return None
    return {"statusCode": 200, "body": json.dumps({
        "runtime": "python", "routeKey": route_key,
        "connectionId": event["requestContext"]["connectionId"], "body": event["body"],
    })}
