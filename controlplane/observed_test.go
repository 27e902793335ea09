package controlplane_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
)

// The life of a deployment, with the answers of the service, member by member. (Recording
// of the service: radkawar/stackd, websocket_lifecycle.json.)
func TestObserved_Lifecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, controlplane.Config{})
		api := c.api()
		target := "integrations/" + textOf(c.must(201, "POST", api+"/integrations", document{
			"integrationType": "AWS_PROXY", "integrationMethod": "POST", "integrationUri": functionURI,
		}), "integrationId")
		route := func(key string) document {
			made := c.must(201, "POST", api+"/routes", document{"routeKey": key, "authorizationType": "NONE", "target": target})
			require.Equal(t, document{"apiKeyRequired": false, "authorizationType": "NONE", "routeId": made["routeId"], "routeKey": key, "target": target}, made)
			return made
		}
		connect, fallback, echo := route("$connect"), route("$default"), route("echo")
		var deployments []any
		deploy := func(description string) string {
			now := time.Now().UTC().Format(time.RFC3339)
			made := c.must(201, "POST", api+"/deployments", document{"description": description})
			require.Equal(t, document{
				"autoDeployed": false, "createdDate": now, "deploymentId": made["deploymentId"], "deploymentStatus": "DEPLOYED", "description": description,
			}, made)
			deployments = append(deployments, made)
			return textOf(made, "deploymentId")
		}
		first := deploy("one way")
		stage := c.must(201, "POST", api+"/stages", document{"stageName": "probe", "deploymentId": first, "autoDeploy": false, "stageVariables": document{"phase": "initial"}})
		now := time.Now().UTC().Format(time.RFC3339)
		require.Equal(t, document{
			"autoDeploy": false, "createdDate": now, "lastUpdatedDate": now, "deploymentId": first, "stageName": "probe",
			"defaultRouteSettings": document{"dataTraceEnabled": false, "detailedMetricsEnabled": false, "loggingLevel": "OFF"},
			"routeSettings":        document{}, "stageVariables": document{"phase": "initial"}, "tags": document{},
		}, stage)
		same := func() {
			require.Equal(t, stage, c.must(200, "GET", api+"/stages/probe", nil))
			require.Equal(t, document{"items": []any{connect, fallback, echo}}, c.must(200, "GET", api+"/routes", nil))
			require.Equal(t, document{"items": deployments}, c.must(200, "GET", api+"/deployments", nil))
		}
		same()

		// A change of the draft leaves the stage and the deployments as they are, their
		// dates, too.
		time.Sleep(13 * time.Second) //nolint:forbidigo // in a bubble
		for _, changed := range []document{fallback, echo} {
			changed["routeResponseSelectionExpression"] = "$default"
			path := api + "/routes/" + textOf(changed, "routeId")
			require.Equal(t, changed, c.must(200, "PATCH", path, document{"routeResponseSelectionExpression": "$default"}))
			response := c.must(201, "POST", path+"/routeresponses", document{"routeResponseKey": "$default"})
			require.Equal(t, document{"routeResponseKey": "$default", "routeResponseId": response["routeResponseId"]}, response)
			require.Equal(t, document{"items": []any{response}}, c.must(200, "GET", path+"/routeresponses", nil))
		}
		same()

		for _, step := range []string{"two way", "renamed"} {
			time.Sleep(6 * time.Second) //nolint:forbidigo // in a bubble
			if step == "renamed" {
				echo["routeKey"] = "changed"
				require.Equal(t, echo, c.must(200, "PATCH", api+"/routes/"+textOf(echo, "routeId"), document{"routeKey": "changed"}))
				same()
			}
			stage["deploymentId"], stage["lastUpdatedDate"] = deploy(step), time.Now().UTC().Format(time.RFC3339)
			require.Equal(t, stage, c.must(200, "PATCH", api+"/stages/probe", document{"deploymentId": stage["deploymentId"]}))
			same()
		}
	})
}

// The credentials of an integration with a function. The role need not exist. (Recording of
// the service: radkawar/stackd, v2_integration_credentials.json.)
func TestObserved_IntegrationCredentials(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	body := document{"integrationType": "AWS_PROXY", "integrationMethod": "POST", "integrationUri": functionURI}
	answer := document{"connectionType": "INTERNET", "passthroughBehavior": "WHEN_NO_MATCH", "payloadFormatVersion": "1.0", "timeoutInMillis": number("29000")}
	maps.Copy(answer, body)
	for _, test := range []struct {
		create  document // more members
		updates []document
		refused bool     // the last update
		want    document // more members of the answers
	}{
		{document{"credentialsArn": role}, nil, false, document{"credentialsArn": role}},
		{document{"credentialsArn": role + "-not-created"}, nil, false, document{"credentialsArn": role + "-not-created"}},
		{document{}, nil, false, document{}},
		{document{"credentialsArn": role}, []document{{"description": "left out"}}, false, document{"credentialsArn": role, "description": "left out"}},
		{document{"credentialsArn": role}, []document{{"credentialsArn": "not-an-arn"}}, true, document{"credentialsArn": role}},
		{document{}, []document{{"credentialsArn": "arn:aws:iam::*:user/*"}}, true, document{}},
		{document{}, []document{{"credentialsArn": ""}}, false, document{}},
		{document{}, []document{{"credentialsArn": role}, {"credentialsArn": ""}}, false, document{}},
	} {
		create, want := maps.Clone(body), maps.Clone(answer)
		maps.Copy(create, test.create)
		maps.Copy(want, test.want)
		made := c.must(201, "POST", api+"/integrations", create)
		want["integrationId"] = made["integrationId"]
		path := api + "/integrations/" + textOf(made, "integrationId")
		for n, update := range test.updates {
			if test.refused && n == len(test.updates)-1 {
				c.refused(400, "BadRequestException", "Invalid role ARN", "PATCH", path, update)
				continue
			}
			made = c.must(200, "PATCH", path, update)
		}
		if len(test.updates) == 0 || !test.refused {
			require.Equal(t, want, made)
		}
		require.Equal(t, want, c.must(200, "GET", path, nil))
	}
}

// Both stages of an API have the same deployment, and each its own answer. (Recording of
// the service: radkawar/stackd, websocket_management.json.)
func TestObserved_TwoStages(t *testing.T) {
	t.Parallel()
	c := newClient(t, controlplane.Config{})
	api := c.api()
	c.route(api, "$default")
	deployment := c.deployment(api)
	for _, name := range []string{"dev", "other"} {
		made := c.must(201, "POST", api+"/stages", document{"stageName": name, "deploymentId": deployment})
		require.NotContains(t, made, "autoDeploy", "it was not sent")
		require.Equal(t, deployment, made["deploymentId"])
		require.Equal(t, name, made["stageName"])
	}
	require.Len(t, c.must(200, "GET", api+"/stages", nil)["items"], 2)
}
