// The server: questions, acts, and events that come by themselves.

const KEY = "pay-by-tweet.token";

/** The bearer token, kept for this tab only. */
export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

function headers(more) {
  const value = token.get();
  return value ? { ...more, authorization: `Bearer ${value}` } : { ...more };
}

export class Refused extends Error {
  /** `keyed`: it was asked with a token. */
  constructor(status, why, keyed) {
    super(why);
    this.status = status;
    this.keyed = keyed;
  }
}

async function ask(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  // Whatever else may answer behind the address, an answer of ours has a body.
  if (response.ok && body) return body;
  const why = body?.error ?? (response.ok ? "The server’s answer can’t be read." : `The server answered ${response.status}.`);
  throw new Refused(response.status, why, "authorization" in init.headers);
}

export function get(path) {
  return ask(path, { headers: headers(), cache: "no-store" });
}

/** Does something in the demo as the person in front of the page. */
export function act(name, fields = {}) {
  const init = { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(fields) };
  return ask(`/v1/demo/${name}`, init);
}

/** A page that is out of sight for this long lets its connection go: a browser has six for all its tabs. */
const HIDDEN_MS = 10_000;

let cut;
let again = false;

/** Begins the events anew, as whoever has the token that there is now. */
export function listenAnew() {
  again = true;
  cut?.abort();
}

/**
 * Events, for ever: `handle(name, data)` for each, `status("on" | "off")` as the connection comes and goes. Read by
 * fetch, because EventSource can't send a token.
 */
export async function listen(handle, status) {
  let timer;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => cut?.abort(), HIDDEN_MS);
  });
  // A page that was left is kept for a way back, and would keep its connection, too.
  addEventListener("pagehide", () => cut?.abort());
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    await inSight();
    again = false;
    cut = new AbortController();
    try {
      const response = await fetch("/v1/events", { headers: headers(), cache: "no-store", signal: cut.signal });
      if (response.ok) {
        status("on");
        pause = 500;
        await read(response.body.getReader(), handle);
      }
    } catch {
      // It went away; it is asked again below.
    }
    if (again) continue;
    status("off");
    await new Promise((resume) => setTimeout(resume, pause));
  }
}

/** Resolves when the page can be seen. */
function inSight() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((go) => document.addEventListener("visibilitychange", go, { once: true })).then(inSight);
}

async function read(reader, handle) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = events.pop();
    // What is not seen is not drawn; but its state must be, as soon as it is.
    for (const event of events) {
      const [name, data] = event.split("\n", 2);
      handle(name.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
    }
  }
}
