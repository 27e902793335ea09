export const handler = async (event) => {
  if (event.requestContext.routeKey === '$connect') return { statusCode: 200 };
  const { text } = JSON.parse(event.body);
  return { statusCode: 200, body: `you said ${text}` };
};
