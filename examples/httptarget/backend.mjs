// The backend of the chat as an HTTP service in Node.js, with the same routes as backend.py,
// whose first lines say how it works. It needs no package.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const maxRoom = 30, maxNickname = 24, maxText = 1000; // characters

class Refusal extends Error {} // its text is meant for the client

const log = (message, facts) => console.error(message, ...Object.entries(facts).map(([name, value]) => `${name}=${value}`));

// What other members see of a connection. They never see its connection ID, because everybody
// who knows that ID can post to the connection.
const memberID = (event) => createHash("sha256").update(event.connectionid).digest("hex").slice(0, 16);

// The name of a group, as the headers want it.
const group = (kind, name) => encodeURIComponent(`${kind}:${name}`);

// The room and the nickname of a connection that has joined a room.
function stateOf(event) {
  if (!event["gateway-state"]) throw new Refusal("join a room first");
  return JSON.parse(event["gateway-state"]);
}

// The room of a $join or a $leave, or null if it is about another group.
function roomOf(event) {
  const name = decodeURIComponent(event["gateway-group"]);
  return name.startsWith("room:") ? name.slice("room:".length) : null;
}

function textOf(message, name, most, oneLine = true) {
  let value = message[name] ?? "";
  if (typeof value !== "string") throw new Refusal(`${name} must be text`);
  value = value.toWellFormed(); // half a character has no UTF-8
  value = (oneLine ? value.replace(/[\s\p{Cc}]+/gu, " ") : value).trim();
  const length = [...value].length;
  if (length === 0) throw new Refusal(`${name} is missing`);
  if (length > most) throw new Refusal(`${name} has ${length} characters, ${most} are allowed`);
  return value;
}

// Each route returns the body of the answer, and its headers.
const routes = {
  // Each connection gets a group of its own. Who knows the member ID can be allowed to use
  // it, without knowing the connection ID.
  $connect: (event) => [null, { "Gateway-Join": group("member", memberID(event)) }],

  join(event, message) {
    const room = textOf(message, "room", maxRoom), nickname = textOf(message, "nickname", maxNickname);
    const headers = { "Gateway-Join": group("room", room), "Gateway-State": encodeURIComponent(JSON.stringify({ room, nickname })) };
    if (event["gateway-state"]) {
      const before = stateOf(event).room;
      if (before === room) throw new Refusal("you are in this room already");
      headers["Gateway-Leave"] = group("room", before);
    }
    log("joined", { connection_id: event.connectionid });
    return [{ type: "joined", room, nickname, member: memberID(event), connectionId: event.connectionid }, headers];
  },

  // Tells the others who has come, and asks them to greet.
  $join(event) {
    const room = roomOf(event);
    if (room === null) return [null, {}];
    return [{ type: "came", room, nickname: stateOf(event).nickname, member: memberID(event), greet: true },
      { "Gateway-Post": `group ${group("room", room)}; except=self` }];
  },

  // Tells a new member that the sender is there, too.
  greet(event, message) {
    if (!event["gateway-state"]) return [null, {}]; // it has left meanwhile
    const to = textOf(message, "to", 16), { room, nickname } = stateOf(event);
    return [{ type: "here", room, members: [{ id: memberID(event), nickname }] }, { "Gateway-Post": `group ${group("member", to)}` }];
  },

  // A member has left, or its connection has closed.
  $leave(event) {
    const room = roomOf(event);
    if (room === null) return [null, {}];
    return [{ type: "went", room, member: memberID(event) }, { "Gateway-Post": `group ${group("room", room)}; except=self` }];
  },

  sendmessage(event, message) {
    const text = textOf(message, "text", maxText, false), state = stateOf(event);
    return [{ type: "message", ...state, member: memberID(event), text, sentAt: new Date() },
      { "Gateway-Post": `group ${group("room", state.room)}` }];
  },

  leave(event) {
    const { room } = stateOf(event);
    return [{ type: "left", room }, { "Gateway-Leave": group("room", room), "Gateway-State": "" }];
  },

  $disconnect(event) {
    log("disconnected", { connection_id: event.connectionid, status: event.status });
    return [null, {}];
  },

  fail() {
    throw new Error("the route fail always fails");
  },

  $default: (event) => [{ type: "help", routes: ["join", "sendmessage", "leave", "fail"], connectionId: event.connectionid }, {}],
};

function answer(event, body) {
  let message = null;
  try {
    message = JSON.parse(body);
  } catch {
    // not JSON, or no body
  }
  try {
    return routes[event.routekey](event, Object(message));
  } catch (error) {
    if (error instanceof Refusal) return [{ type: "error", message: error.message, requestId: event.requestid }, {}];
    throw error;
  }
}

const server = createServer(async (request, response) => {
  try {
    const chunks = await request.toArray();
    const [frame, headers] = answer(request.headers, Buffer.concat(chunks).toString());
    response.writeHead(200, { "Content-Type": "application/json", ...headers }).end(frame ? JSON.stringify(frame) : "");
  } catch (error) {
    log("failed", { error: error.message });
    response.destroy(); // closes the HTTP connection: the client gets an error frame
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => server.close()); // ends with its parent
