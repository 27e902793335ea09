import boto3


def handler(event, context):
    """Sends each message back to its sender."""
    at = event["requestContext"]
    connections = boto3.client("apigatewaymanagementapi", endpoint_url=f"https://{at['domainName']}/{at['stage']}")
    connections.post_to_connection(ConnectionId=at["connectionId"], Data=event["body"].encode())
    return {"statusCode": 200}
