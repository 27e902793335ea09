"""Makes functions in Python and Node.js, an API that calls them, and a stage, with boto3. Prints the address of the stage.

Then, for each line of stdin, it gives the Python function other code, whose text is the line, and prints the hash of the code.
"""

import io
import sys
import zipfile

import boto3

endpoint = sys.argv[1]


def client(name):
    return boto3.client(name, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local")


def zipped(name, text):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


def python(text):
    return zipped("app.py", f"def handler(event, context):\n    return {{'statusCode': 200, 'body': '{text} ' + event['body']}}\n")


functions, apis = client("lambda"), client("apigatewayv2")
node = zipped("index.mjs", "export const handler = async (event) => ({ statusCode: 200, body: `${process.env.WORD} ${event.body}` });\n")
role = "arn:aws:iam::123456789012:role/any"
api = apis.create_api(Name="chat", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")
for key, arguments in {
    "python": {"Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": python("python says")}},
    "node": {"Runtime": "nodejs20.x", "Handler": "index.handler", "Code": {"ZipFile": node}, "Environment": {"Variables": {"WORD": "node says"}}},
}.items():
    arn = functions.create_function(FunctionName=key, Role=role, Timeout=20, **arguments)["FunctionArn"]
    waiter = functions.get_waiter("function_active")
    waiter.wait(FunctionName=key)
    functions.add_permission(FunctionName=key, StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com")
    integration = apis.create_integration(ApiId=api["ApiId"], IntegrationType="AWS_PROXY", IntegrationMethod="POST", IntegrationUri=arn)
    route = apis.create_route(ApiId=api["ApiId"], RouteKey=key, Target="integrations/" + integration["IntegrationId"])
    apis.create_route_response(ApiId=api["ApiId"], RouteId=route["RouteId"], RouteResponseKey="$default")
deployment = apis.create_deployment(ApiId=api["ApiId"])
apis.create_stage(ApiId=api["ApiId"], StageName="prod", DeploymentId=deployment["DeploymentId"])
print(api["ApiEndpoint"] + "/prod", flush=True)
for line in sys.stdin:
    print(functions.update_function_code(FunctionName="python", ZipFile=python(line.strip()))["CodeSha256"], flush=True)
