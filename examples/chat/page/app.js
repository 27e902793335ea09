// The page of the chat, for each of its backends. Frames to the backend are JSON, and
// "action" is the route. Frames from the backend are JSON with a "type". Only the error
// messages of the gateway and posts through @connections are different.
//
// Who is in the room comes as a list and its changes: here, came, went. Some backends have
// no list: then each member hears who came, greets, and so makes its own here. Others send
// the whole list with each change: members.
"use strict";

const $ = (id) => document.getElementById(id);

const firstDelay = 500; // milliseconds before the first attempt to reconnect
const longestDelay = 15_000;
const keepAliveEvery = 5 * 60_000; // the gateway closes a connection that has been idle for ten minutes
const messagesKept = 500;
const framesKept = 50;

const state = {
  socket: null,
  attempt: 0, // failed attempts in a row
  timer: 0, // the next attempt
  room: null, // the room to join again after a reconnect: {room, nickname}
  joined: false,
  me: "", // our member ID
  members: new Map(), // by ID: {id, nickname, room}
  version: 0, // of the latest whole list
  last: null, // who wrote the last bubble
};

// ---- the socket

function connect() {
  clearTimeout(state.timer);
  setStatus("connecting", state.attempt === 0 ? "Connecting…" : "Reconnecting…");
  const url = new URL("chat", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  const socket = new WebSocket(url);
  state.socket = socket;
  socket.addEventListener("open", () => {
    setStatus("online", "Online");
    state.version = 0;
    state.members.clear();
    if (state.room) {
      send({ action: "join", ...state.room });
    } else {
      send({ action: "help" }); // there is no such route: $default answers, with our connection ID
    }
  });
  socket.addEventListener("message", (event) => {
    state.attempt = 0; // only now, because a server may accept a socket and close it at once
    logFrame("received", event.data);
    receive(event.data);
  });
  socket.addEventListener("close", () => {
    if (state.joined) addEvent("Connection lost");
    state.joined = false;
    showConnection("");
    update();
    reconnectLater();
  });
}

// reconnectLater waits twice as long each time. Half of the time is random, so that not
// all clients connect at once when the server is back.
function reconnectLater() {
  const ceiling = Math.min(longestDelay, firstDelay * 2 ** state.attempt);
  const at = Date.now() + ceiling / 2 + (Math.random() * ceiling) / 2;
  state.attempt += 1;
  const tick = () => {
    const left = at - Date.now();
    if (left <= 0) return connect();
    setStatus("reconnecting", left < 1000 ? "Reconnecting…" : `Reconnecting in ${Math.ceil(left / 1000)} s`);
    state.timer = setTimeout(tick, Math.min(left, 1000));
  };
  tick();
}

function send(frame) {
  if (state.socket?.readyState !== WebSocket.OPEN) return false;
  const text = typeof frame === "string" ? frame : JSON.stringify(frame);
  state.socket.send(text);
  logFrame("sent", text);
  return true;
}

setInterval(() => send({ action: "help" }), keepAliveEvery);
addEventListener("online", () => {
  if (state.socket?.readyState === WebSocket.CLOSED) connect();
});

// ---- frames received

const handlers = {
  joined(frame) {
    const again = state.room?.room === frame.room; // after a reconnect, or under another name
    if (!again) $("messages").replaceChildren();
    $("notices").replaceChildren();
    state.room = { room: frame.room, nickname: frame.nickname };
    state.me = frame.member;
    state.joined = true;
    for (const m of state.members.values()) if (m.room !== frame.room) state.members.delete(m.id);
    addMember(frame.room, frame.member, frame.nickname);
    showConnection(frame.connectionId);
    addEvent(again ? `You are back in ${frame.room}` : `You joined ${frame.room}`);
    renderMembers();
    update();
    if (!again) $("text").focus();
  },
  left() {
    state.room = null;
    state.joined = false;
    state.members.clear();
    update();
    $("nickname").focus();
  },
  came(frame) {
    if (addMember(frame.room, frame.member, frame.nickname)) addRoomEvent(frame.room, `${frame.nickname} joined`);
    if (frame.greet) send({ action: "greet", to: frame.member });
    renderMembers();
  },
  here(frame) {
    for (const m of frame.members ?? []) addMember(frame.room, m.id, m.nickname);
    renderMembers();
  },
  went(frame) {
    const member = state.members.get(frame.member);
    if (member?.room !== frame.room) return; // gone already, or in our room now
    state.members.delete(frame.member);
    addRoomEvent(frame.room, `${member.nickname} left`);
    renderMembers();
  },
  members(frame) {
    if (frame.version < state.version) return; // a newer list has already arrived
    state.version = frame.version;
    const before = state.members;
    state.members = new Map();
    for (const m of frame.members) addMember(frame.room, m.id, m.nickname);
    const differs = (m, list) => m.id !== state.me && !list.has(m.id);
    for (const m of before.values()) if (differs(m, state.members)) addRoomEvent(frame.room, `${m.nickname} left`);
    for (const m of frame.members) if (differs(m, before)) addRoomEvent(frame.room, `${m.nickname} joined`);
    renderMembers();
  },
  message(frame) {
    addMessage(frame.nickname, frame.text, new Date(frame.sentAt), frame.member === state.me ? "own" : "");
  },
  help(frame) {
    showConnection(frame.connectionId);
  },
  // Also the error messages of the gateway. Those about a member of our frame name it.
  error(frame) {
    const problems = frame.errors?.map((e) => `${e.field.slice(1)} ${e.message}`);
    addNotice(problems?.join(", ") ?? frame.message, frame.requestId);
    if (!state.joined) {
      state.room = null; // do not try again what was refused
      update();
    }
  },
};

function receive(data) {
  let frame = null;
  try {
    frame = JSON.parse(data);
  } catch {
    // not JSON: somebody posted text
  }
  if (frame !== null && typeof frame === "object") {
    if (Object.hasOwn(handlers, frame.type)) return handlers[frame.type](frame);
    if (frame.message && frame.requestId) return handlers.error(frame);
  }
  if (state.joined) {
    addMessage("@connections", data, new Date(), "posted");
  } else {
    addNotice(`Posted to this connection: ${data}`);
  }
}

// addMember adds a member to a room, and reports whether it was not there.
function addMember(room, id, nickname) {
  const known = state.members.get(id)?.room === room;
  state.members.set(id, { id, nickname, room });
  return !known;
}

// addRoomEvent shows what happens in the room where we are.
function addRoomEvent(room, text) {
  if (state.joined && room === state.room.room) addEvent(text);
}

// ---- what is shown: all text is inserted as text, never as markup

function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// hue returns the colour of a nickname. Similar nicknames get different colours (FNV-1a).
function hue(nickname) {
  let h = 0x811c9dc5;
  for (const c of nickname) h = Math.imul(h ^ c.codePointAt(0), 0x01000193) >>> 0;
  return String((h >>> 8) % 360);
}

function avatar(nickname) {
  const initials = nickname.split(" ").map((word) => [...word][0]).slice(0, 2).join("");
  const e = element("span", "avatar", initials.toUpperCase());
  e.style.setProperty("--hue", hue(nickname));
  e.setAttribute("aria-hidden", "true");
  return e;
}

function append(item) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(item);
  while (list.children.length > messagesKept) list.firstElementChild.remove();
  if (atEnd || item.classList.contains("own")) list.scrollTop = list.scrollHeight;
}

function addMessage(nickname, text, at, kind) {
  const author = `${kind} ${nickname}`;
  const item = element("li", `message ${kind}`);
  item.style.setProperty("--hue", hue(nickname));
  const time = element("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
  const head = element("p", "head");
  if (state.last === author) {
    head.className = "visually-hidden";
  } else {
    item.classList.add("first");
    if (kind !== "own") item.append(avatar(nickname));
  }
  if (kind === "own") {
    head.append(element("span", "visually-hidden", "You, "));
  } else {
    head.append(element("b", "", kind === "posted" ? "Posted to you" : nickname), " ");
  }
  head.append(time);
  item.append(head, element("p", "bubble", text));
  state.last = author;
  append(item);
}

function addEvent(text) {
  state.last = null;
  append(element("li", "event", text));
}

function addNotice(text, requestId) {
  const notice = element("div", "notice");
  const what = element("div");
  what.append(element("strong", "", text));
  if (requestId) what.append(element("small", "", `Request ID ${requestId}`));
  const dismiss = element("button", "button quiet", "×");
  dismiss.type = "button";
  dismiss.setAttribute("aria-label", "Dismiss");
  dismiss.addEventListener("click", () => notice.remove());
  notice.append(what, dismiss);
  const notices = $("notices");
  notices.append(notice);
  while (notices.children.length > 2) notices.firstElementChild.remove();
}

function renderMembers() {
  const members = [...state.members.values()]
    .filter((m) => m.room === state.room?.room)
    .sort((a, b) => a.nickname.localeCompare(b.nickname));
  $("member-count").textContent = String(members.length);
  $("members").replaceChildren(...members.map((m) => {
    const item = element("li");
    item.append(avatar(m.nickname), element("span", "name", m.nickname));
    if (m.id === state.me) item.append(element("span", "you", "you"));
    return item;
  }));
}

function logFrame(way, text) {
  const item = element("li");
  item.dataset.way = way;
  const arrow = element("span", "way", way === "sent" ? "↑" : "↓");
  arrow.setAttribute("aria-hidden", "true");
  item.append(arrow, element("span", "", text));
  const frames = $("frames");
  frames.prepend(item);
  while (frames.children.length > framesKept) frames.lastElementChild.remove();
}

function showConnection(id) {
  const base = new URL("chat/@connections/", location.href);
  $("connection-id").textContent = id || "–";
  $("curl").textContent = id ? `curl -X POST --data 'hello from curl' '${base.origin}${base.pathname}${encodeURIComponent(id)}'` : "–";
  $("copy-curl").disabled = !id;
}

function setStatus(kind, text) {
  const pill = $("status");
  pill.dataset.state = kind;
  if (pill.textContent !== text) pill.textContent = text;
}

// update shows the form or the conversation. While it reconnects, the conversation and the
// text in the input field stay.
function update() {
  const inRoom = state.room !== null;
  $("welcome").hidden = inRoom;
  $("conversation").hidden = !inRoom;
  $("people").hidden = !inRoom;
  $("leave").hidden = !inRoom;
  $("leave").disabled = !state.joined;
  $("send").disabled = !state.joined;
  $("people").classList.toggle("stale", !state.joined);
  $("room-name").hidden = !inRoom;
  $("room-name").textContent = state.room?.room ?? "";
  document.title = inRoom ? `${state.room.room} · Chat` : "Chat";
}

// ---- what the user does

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const frame = { action: "join", room: $("room").value.trim() || "lobby", nickname: $("nickname").value };
  if (send(frame)) {
    state.members.clear();
    sessionStorage.setItem("nickname", frame.nickname);
    history.replaceState(null, "", `#${encodeURIComponent(frame.room)}`);
  } else {
    addNotice("Not connected yet");
  }
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (text.trim() && state.joined && send({ action: "sendmessage", text })) $("text").value = "";
  $("text").focus();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});

$("leave").addEventListener("click", () => send({ action: "leave" }));

$("raw-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!send($("raw").value)) addNotice("Not connected yet");
});

$("try-fail").addEventListener("click", () => {
  $("raw").value = '{"action": "fail"}';
  $("raw").focus();
});

$("copy-curl").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy-curl").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("curl")); // copying is not allowed: select the text, so that the user can copy it
    $("copy-curl").textContent = "Selected";
  }
  setTimeout(() => ($("copy-curl").textContent = "Copy curl"), 2000);
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape") $("notices").lastElementChild?.remove();
});

$("nickname").value = sessionStorage.getItem("nickname") ?? "";
try {
  $("room").value = decodeURIComponent(location.hash.slice(1)) || "lobby";
} catch {
  $("room").value = "lobby";
}
$("wire").open = matchMedia("(min-width: 50.01rem)").matches;
$("nickname").focus();
update();
connect();
