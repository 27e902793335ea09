"""The call of the management API that the README shows: python3 readme.py CONNECTION_ID"""

import sys

connection_id = sys.argv[1]

import boto3

client = boto3.client("apigatewaymanagementapi", region_name="us-east-1", endpoint_url="http://localhost:8080/prod")
client.post_to_connection(ConnectionId=connection_id, Data=b"hi")
