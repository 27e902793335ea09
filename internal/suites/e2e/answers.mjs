// An HTTP backend for answers_test.go, with Node.js alone.
import { createServer } from "node:http";

// A header of Node.js has no other characters: write them as JSON can.
const ascii = (value) =>
  JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

const server = createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  const message = JSON.parse(text);
  const { "gateway-state": state, "gateway-groups": groups } = request.headers;
  if ("set" in message) {
    response.setHeader("Gateway-State", ascii(message.set));
    response.setHeader("Gateway-Join", message.join.map(encodeURIComponent).join(", "));
  }
  if ("raw" in message) response.setHeader("Gateway-State", message.raw);
  if ("bye" in message) response.setHeader("Gateway-Close", "4001 " + encodeURIComponent(message.bye));
  const known = {
    state: state === undefined ? null : JSON.parse(state),
    groups: groups === undefined ? [] : groups.split(", ").map(decodeURIComponent),
  };
  // With a Buffer the headers are ISO 8859-1; with a string they are in the encoding of the body.
  response.end(Buffer.from(JSON.stringify(known)));
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit());
