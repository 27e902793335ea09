def handler(event, context):
    print("goodbye", event["requestContext"]["connectionId"])
    return {"statusCode": 200}
