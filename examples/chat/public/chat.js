const [status, door, enter, nameField, room, title, log, say, text] =
  ["status", "door", "enter", "name", "room", "title", "log", "say", "text"]
    .map((id) => document.getElementById(id));
const sendButton = say.querySelector("button");
const FIRST_DELAY = 500, LONGEST_DELAY = 10_000, LINES = 300;

const NAME_TAKEN = 4009, VISITOR_KEPT = 30 * 24 * 3600;

let socket = null;
let me, where;        // name and room
let seen = 0;         // id of the last message: whoever comes back asks for what came after it
let pending = null;   // what was sent and has not come back
let delay = FIRST_DELAY, timer;

// A secret of this browser: who comes back with it is the same person, and has the name still.
if (!/(^|; )visitor=/.test(document.cookie)) {
  const secret = [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `visitor=${secret}; path=/; max-age=${VISITOR_KEPT}; samesite=strict${secure}`;
}

// ---- the connection

function connect() {
  clearTimeout(timer);
  tell("connecting", "connecting …");
  const query = new URLSearchParams(seen ? {name: me, after: seen} : {name: me});
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/rooms/${where}?${query}`);
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = lost;
}

function hear({worker, said = [], event}) {
  if (worker) {
    delay = FIRST_DELAY;
    document.body.dataset.worker = worker;
    tell("open", `connected to worker ${worker}`);
  }
  for (const message of said) show(message);
  if (worker) pending = null;     // it is not among these: its worker has not kept it
  if (event) append(element("li", "event", event));
  settle();
}

function lost({code, reason}) {
  // At random, or all clients of a worker that has died would come back in the same moment.
  const wait = Math.round(delay * (0.5 + Math.random() / 2));
  delay = Math.min(delay * 2, LONGEST_DELAY);
  socket = null;
  delete document.body.dataset.worker;
  if (code === NAME_TAKEN) return leave(reason);
  const why = code === 1012 ? "the server restarts" : reason || "connection lost";
  tell("lost", `${why}, trying again in ${(wait / 1000).toFixed(1)} s`);
  timer = setTimeout(connect, wait);
  settle();
}

function leave(why) {
  where = null;
  door.hidden = false;
  room.hidden = true;
  tell("lost", why);
  settle();
  nameField.select();
}

// A network that comes back, or a phone that is unlocked, need not wait for the timer.
function hurry() {
  if (where && !socket && !document.hidden) connect();
}
addEventListener("online", hurry);
document.addEventListener("visibilitychange", hurry);

// ---- the page

function tell(state, words) {
  status.dataset.state = state;
  status.textContent = words;
}

function settle() {
  sendButton.disabled = !document.body.dataset.worker;
  // Until it comes back it stays in the field: a connection that ends loses nothing.
  text.readOnly = socket !== null && pending !== null;
}

// What others have written becomes text, never markup.
function element(tag, className, words = "") {
  return Object.assign(document.createElement(tag), {className, textContent: words});
}

function show({id, name, text: words, at}) {
  const before = [...log.children].findLast((item) => item.dataset.id <= id);
  if (before?.dataset.id == id) return;       // it came live, and with what was said before
  const item = element("li", name === me ? "said mine" : "said");
  item.dataset.id = id;
  const time = new Date(at * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
  const who = element("p", "who");
  who.append(element("b", "", name), ` ${time}`);
  item.append(who, element("p", "", words));
  // Workers do not wait for one another: two messages may come in another order than they have.
  append(item, id > seen ? null : before ? before.nextSibling : log.firstChild);
  seen = Math.max(seen, id);
  if (name === me && words === pending) {
    if (text.value === pending) text.value = "";
    pending = null;
    settle();
  }
}

function append(item, before = null) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.insertBefore(item, before);
  while (log.children.length > LINES) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

enter.addEventListener("submit", (event) => {
  event.preventDefault();
  me = nameField.value.trim();
  if (!me) return;
  where = enter.elements.room.value;
  title.textContent = `${where[0].toUpperCase()}${where.slice(1)}`;
  door.hidden = true;
  room.hidden = false;
  text.focus();
  connect();
});

say.addEventListener("submit", (event) => {
  event.preventDefault();
  text.value = text.value.trim();
  if (!text.value || sendButton.disabled || text.readOnly) return;
  pending = text.value;
  socket.send(pending);
  settle();
});

settle();
