import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    request = event["requestContext"]
    table.put_item(Item={"connectionId": request["connectionId"], "connectedAt": request["connectedAt"]})
    return {"statusCode": 200, "body": "Connected."}
