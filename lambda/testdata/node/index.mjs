// A handler as it is written for AWS.
export const handler = async (event) => {
  const { routeKey, connectionId } = event.requestContext;
  switch (routeKey) {
    case "$connect":
      if (event.queryStringParameters?.token !== "good") {
        return { statusCode: 401, headers: { "X-Why": "token" }, body: "who are you?" };
      }
      return { statusCode: 200, headers: { "Sec-WebSocket-Protocol": event.headers["Sec-WebSocket-Protocol"].split(",")[0].trim() } };
    case "$disconnect":
      return { statusCode: 200 };
    case "fail":
      throw new Error("no database");
    case "odd":
      return { statusCode: 200, body: "x", extra: true };
    case "nothing":
      return undefined;
    default:
      return { statusCode: 200, body: JSON.stringify({ runtime: "node", routeKey, connectionId, body: event.body }) };
  }
};
