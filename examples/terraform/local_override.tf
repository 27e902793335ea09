# All that a local gateway needs: gateway dev, then terraform apply.

provider "aws" {
  profile                     = null # of the provider that this overrides
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    apigatewayv2 = "http://127.0.0.1:4567"
    lambda       = "http://127.0.0.1:4567"
  }
}
