# A WebSocket API with three functions, as for AWS. local_override.tf points it to a local
# gateway: without that file, and with a role that exists, it goes to AWS.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "role" {
  description = "ARN of the role of the functions"
  type        = string
  default     = "arn:aws:iam::123456789012:role/chat"
}

# The zip file is made before: zip -j functions.zip functions/*.py
resource "aws_lambda_function" "connect" {
  function_name    = "connect_lambda"
  filename         = "${path.module}/functions.zip"
  source_code_hash = filebase64sha256("${path.module}/functions.zip")
  handler          = "connect.handler"
  runtime          = "python3.11"
  role             = var.role
}

resource "aws_lambda_function" "disconnect" {
  function_name    = "disconnect_lambda"
  filename         = "${path.module}/functions.zip"
  source_code_hash = filebase64sha256("${path.module}/functions.zip")
  handler          = "disconnect.handler"
  runtime          = "python3.11"
  role             = var.role
}

resource "aws_lambda_function" "default" {
  function_name    = "default_lambda"
  filename         = "${path.module}/functions.zip"
  source_code_hash = filebase64sha256("${path.module}/functions.zip")
  handler          = "default.handler"
  runtime          = "python3.11"
  role             = var.role
  timeout          = 10
}

resource "aws_apigatewayv2_api" "example" {
  name                       = "example-websocket-api"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}

resource "aws_apigatewayv2_integration" "connect" {
  api_id                 = aws_apigatewayv2_api.example.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  payload_format_version = "2.0"
  integration_uri        = aws_lambda_function.connect.arn
}

resource "aws_apigatewayv2_integration" "disconnect" {
  api_id                 = aws_apigatewayv2_api.example.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  payload_format_version = "2.0"
  integration_uri        = aws_lambda_function.disconnect.arn
}

resource "aws_apigatewayv2_integration" "default" {
  api_id                 = aws_apigatewayv2_api.example.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  payload_format_version = "2.0"
  integration_uri        = aws_lambda_function.default.arn
}

resource "aws_apigatewayv2_route" "connect" {
  api_id    = aws_apigatewayv2_api.example.id
  route_key = "$connect"
  target    = "integrations/${aws_apigatewayv2_integration.connect.id}"
}

resource "aws_apigatewayv2_route" "disconnect" {
  api_id    = aws_apigatewayv2_api.example.id
  route_key = "$disconnect"
  target    = "integrations/${aws_apigatewayv2_integration.disconnect.id}"
}

resource "aws_apigatewayv2_route" "default" {
  api_id    = aws_apigatewayv2_api.example.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.default.id}"
}

resource "aws_lambda_permission" "api" {
  for_each = {
    connect    = aws_lambda_function.connect.function_name
    disconnect = aws_lambda_function.disconnect.function_name
    default    = aws_lambda_function.default.function_name
  }
  statement_id  = "AllowExecutionFromAPIGateway"
  action        = "lambda:InvokeFunction"
  function_name = each.value
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.example.execution_arn}/*/*"
}

resource "aws_apigatewayv2_stage" "prod" {
  api_id      = aws_apigatewayv2_api.example.id
  name        = "prod"
  auto_deploy = true
}

output "address" {
  value = "${aws_apigatewayv2_api.example.api_endpoint}/${aws_apigatewayv2_stage.prod.name}"
}
