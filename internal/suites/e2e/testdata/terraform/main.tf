# Everything that a WebSocket API can have. With -var changed=true, each resource differs.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "changed" {
  type    = bool
  default = false
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
  endpoints {
    apigatewayv2 = var.endpoint
  }
  default_tags {
    tags = { project = "chat" }
  }
}

locals {
  function = "arn:aws:lambda:us-east-1:123456789012:function"
}

resource "aws_apigatewayv2_api" "chat" {
  name                       = var.changed ? "chat-two" : "chat"
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
  description                = var.changed ? null : "rooms"
  version                    = var.changed ? null : "1"
  tags                       = var.changed ? { team = "b", size = "3" } : { team = "a", old = "yes" }
}

resource "aws_apigatewayv2_model" "message" {
  api_id       = aws_apigatewayv2_api.chat.id
  name         = "Message"
  content_type = "application/json"
  description  = var.changed ? "changed" : null
  schema = jsonencode({
    "$schema"  = "http://json-schema.org/draft-04/schema#"
    type       = "object"
    required   = var.changed ? ["text", "room"] : ["text"]
    properties = { text = { type = "string" } }
  })
}

resource "aws_apigatewayv2_authorizer" "tokens" {
  api_id           = aws_apigatewayv2_api.chat.id
  name             = "tokens"
  authorizer_type  = "REQUEST"
  authorizer_uri   = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${local.function}:auth/invocations"
  identity_sources = var.changed ? ["route.request.querystring.token"] : ["route.request.querystring.token", "route.request.header.Host"]
}

resource "aws_apigatewayv2_integration" "chat" {
  api_id                    = aws_apigatewayv2_api.chat.id
  integration_type          = "AWS_PROXY"
  integration_method        = "POST"
  integration_uri           = "${local.function}:chat"
  content_handling_strategy = "CONVERT_TO_TEXT"
  description               = var.changed ? null : "all messages"
  timeout_milliseconds      = var.changed ? 5000 : 29000
}

resource "aws_apigatewayv2_integration" "mock" {
  api_id                        = aws_apigatewayv2_api.chat.id
  integration_type              = "MOCK"
  passthrough_behavior          = var.changed ? "NEVER" : "WHEN_NO_TEMPLATES"
  template_selection_expression = "200"
  request_templates             = { "200" = jsonencode({ statusCode = 200 }) }
}

resource "aws_apigatewayv2_integration" "http" {
  api_id             = aws_apigatewayv2_api.chat.id
  integration_type   = "HTTP_PROXY"
  integration_method = var.changed ? "PUT" : "POST"
  integration_uri    = "http://127.0.0.1:9/{room}"
  request_parameters = var.changed ? {
    "integration.request.path.room" = "route.request.body.room"
    } : {
    "integration.request.path.room"    = "route.request.body.room"
    "integration.request.header.stage" = "context.stage"
  }
}

resource "aws_apigatewayv2_integration" "private" {
  api_id             = aws_apigatewayv2_api.chat.id
  integration_type   = "HTTP_PROXY"
  integration_method = "POST"
  integration_uri    = "http://private.example.com/"
  connection_type    = "VPC_LINK"
  connection_id      = var.changed ? "link2" : "link1"
}

resource "aws_apigatewayv2_integration_response" "mock" {
  api_id                        = aws_apigatewayv2_api.chat.id
  integration_id                = aws_apigatewayv2_integration.mock.id
  integration_response_key      = "$default"
  template_selection_expression = "\\$default"
  response_templates            = { "$default" = var.changed ? "changed" : "mock" }
}

resource "aws_apigatewayv2_route" "connect" {
  api_id             = aws_apigatewayv2_api.chat.id
  route_key          = "$connect"
  target             = "integrations/${aws_apigatewayv2_integration.chat.id}"
  authorization_type = "CUSTOM"
  authorizer_id      = aws_apigatewayv2_authorizer.tokens.id
  operation_name     = var.changed ? null : "connect"
  request_parameter {
    request_parameter_key = var.changed ? "route.request.querystring.token" : "route.request.header.Host"
    required              = true
  }
}

resource "aws_apigatewayv2_route" "disconnect" {
  api_id    = aws_apigatewayv2_api.chat.id
  route_key = "$disconnect"
  target    = "integrations/${aws_apigatewayv2_integration.chat.id}"
}

resource "aws_apigatewayv2_route" "default" {
  api_id    = aws_apigatewayv2_api.chat.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.chat.id}"
}

resource "aws_apigatewayv2_route" "mock" {
  api_id                              = aws_apigatewayv2_api.chat.id
  route_key                           = var.changed ? "mock2" : "mock"
  target                              = "integrations/${aws_apigatewayv2_integration.mock.id}"
  route_response_selection_expression = "$default"
}

resource "aws_apigatewayv2_route" "send" {
  api_id                     = aws_apigatewayv2_api.chat.id
  route_key                  = "send"
  target                     = "integrations/${aws_apigatewayv2_integration.chat.id}"
  model_selection_expression = "\\$default"
  request_models             = { "$default" = aws_apigatewayv2_model.message.name }
}

resource "aws_apigatewayv2_route_response" "all" {
  for_each = {
    default = aws_apigatewayv2_route.default.id
    mock    = aws_apigatewayv2_route.mock.id
    send    = aws_apigatewayv2_route.send.id
  }
  api_id             = aws_apigatewayv2_api.chat.id
  route_id           = each.value
  route_response_key = "$default"
  response_models    = var.changed ? { "$default" = aws_apigatewayv2_model.message.name } : null
}

resource "aws_apigatewayv2_deployment" "chat" {
  api_id      = aws_apigatewayv2_api.chat.id
  description = "by Terraform"
  # Not the resources themselves: after a refresh the provider has {} where it had null.
  triggers = {
    redeployment = sha1(jsonencode([filesha1("${path.module}/main.tf"), var.changed]))
  }
  depends_on = [
    aws_apigatewayv2_integration_response.mock,
    aws_apigatewayv2_route.connect,
    aws_apigatewayv2_route.disconnect,
    aws_apigatewayv2_route_response.all,
  ]
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_stage" "prod" {
  api_id          = aws_apigatewayv2_api.chat.id
  name            = "prod"
  deployment_id   = aws_apigatewayv2_deployment.chat.id
  description     = var.changed ? null : "for everybody"
  stage_variables = var.changed ? { color = "blue" } : { color = "red", old = "yes" }
  default_route_settings {
    logging_level            = "OFF"
    throttling_burst_limit   = var.changed ? 200 : 100
    throttling_rate_limit    = var.changed ? 2.5 : 50
    detailed_metrics_enabled = var.changed
  }
  route_settings {
    route_key              = var.changed ? "$default" : "$connect"
    throttling_burst_limit = 7
    throttling_rate_limit  = 7
  }
  dynamic "access_log_settings" {
    for_each = var.changed ? [] : ["on"]
    content {
      destination_arn = "arn:aws:logs:us-east-1:123456789012:log-group:chat"
      format          = "$context.requestId"
    }
  }
  depends_on = [aws_apigatewayv2_route.default]
}

resource "aws_apigatewayv2_stage" "next" {
  api_id      = aws_apigatewayv2_api.chat.id
  name        = "next"
  auto_deploy = true
  tags        = { stage = var.changed ? "two" : "one" }
}

resource "aws_apigatewayv2_domain_name" "chat" {
  domain_name = "chat.example.com"
  domain_name_configuration {
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/${var.changed ? "b" : "a"}"
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "chat" {
  api_id          = aws_apigatewayv2_api.chat.id
  domain_name     = aws_apigatewayv2_domain_name.chat.id
  stage           = aws_apigatewayv2_stage.prod.id
  api_mapping_key = var.changed ? "v2" : "v1"
}

data "aws_apigatewayv2_api" "chat" {
  api_id = one(data.aws_apigatewayv2_apis.all.ids)
}

data "aws_apigatewayv2_apis" "all" {
  protocol_type = "WEBSOCKET"
  tags          = { project = "chat" }
  depends_on    = [aws_apigatewayv2_api.chat]
}

output "api_id" {
  value = data.aws_apigatewayv2_api.chat.id
}

output "send" {
  value = aws_apigatewayv2_route.send.id
}

output "address" {
  value = "${aws_apigatewayv2_api.chat.api_endpoint}/${aws_apigatewayv2_stage.prod.name}"
}
