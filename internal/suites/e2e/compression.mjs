// Sends texts to a gateway that echoes them, with the client "ws". Writes one line of JSON to
// stdout: what both have agreed on, and whether each text came back as it was.
//
//   node compression.mjs <URL> <options of perMessageDeflate, as JSON> <lengths>
import WebSocket from "ws";

const [url, perMessageDeflate, ...lengths] = process.argv.slice(2);
const texts = lengths.map((n) => '{"action":"say","text":"hello €"},'.repeat(n).slice(0, Number(n)));
const socket = new WebSocket(url, { perMessageDeflate: JSON.parse(perMessageDeflate) });
const same = [];
socket.on("open", () => texts.forEach((text) => socket.send(text)));
socket.on("message", (data) => {
  same.push(data.toString() === texts[same.length]);
  if (same.length === texts.length) socket.close(1000);
});
socket.on("close", (code) => console.log(JSON.stringify({ extensions: socket.extensions, same, code })));
socket.on("error", (error) => console.log(JSON.stringify({ error: error.message })));
