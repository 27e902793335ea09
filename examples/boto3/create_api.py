"""Makes a WebSocket API with boto3: three functions, three routes, and a deployment.

GATEWAY_URL=http://127.0.0.1:4567 python3 create_api.py runs it against a local gateway; without
GATEWAY_URL it runs against AWS. docs/clients.md says how a client connects then.
"""

import os

import boto3

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"

client = boto3.client("apigatewayv2", region_name="us-east-1", endpoint_url=os.environ.get("GATEWAY_URL"))

api = client.create_api(
    Name="ExampleWebSocketAPI",
    ProtocolType="WEBSOCKET",
    RouteSelectionExpression="$request.body.action",
)
api_id = api["ApiId"]

connect_integration = client.create_integration(
    ApiId=api_id,
    IntegrationType="AWS_PROXY",
    IntegrationMethod="POST",
    PayloadFormatVersion="2.0",
    IntegrationUri=FUNCTION + "connect_lambda",
)
disconnect_integration = client.create_integration(
    ApiId=api_id,
    IntegrationType="AWS_PROXY",
    IntegrationMethod="POST",
    PayloadFormatVersion="2.0",
    IntegrationUri=FUNCTION + "disconnect_lambda",
)
default_integration = client.create_integration(
    ApiId=api_id,
    IntegrationType="AWS_PROXY",
    IntegrationMethod="POST",
    PayloadFormatVersion="2.0",
    IntegrationUri=FUNCTION + "default_lambda",
)

client.create_route(ApiId=api_id, RouteKey="$connect", Target="integrations/" + connect_integration["IntegrationId"])
client.create_route(ApiId=api_id, RouteKey="$disconnect", Target="integrations/" + disconnect_integration["IntegrationId"])
client.create_route(ApiId=api_id, RouteKey="$default", Target="integrations/" + default_integration["IntegrationId"])

deployment = client.create_deployment(ApiId=api_id, Description="Initial deployment")

print(api_id, deployment["DeploymentId"], api["ApiEndpoint"])
