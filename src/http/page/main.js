// The page's beginning: which views there are, the connection, the clock, dark and light.

import { byId, h, toast } from "./dom.js";
import { act, get, listen, listenAnew, Refused, token } from "./net.js";
import { Play } from "./play.js";
import { Operate } from "./operate.js";

const views = { play: byId("play"), operate: byId("operate") };
const operate = new Operate();
/** Made once; `operate.demo` is the same while a demo runs behind the address. */
let play;
let asked = "";
let shown;

/** How often the page was told of the demo since it is connected. */
let told = 0;

/** A state that is older than what was told is asked for again, so many times. */
const TRIES_MAX = 5;

/** Shows the view that the address names, or the first one that there is. */
function route() {
  const { hash } = location;
  // Any other names a place within the view, as the skip link does.
  if (!hash || hash.startsWith("#/")) asked = hash.slice(2);
  const name = asked === "operate" || !operate.demo ? "operate" : "play";
  for (const [key, view] of Object.entries(views)) {
    view.hidden = key !== name;
    const tab = byId(`tab-${key}`);
    if (key === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = name === "play" ? "pay-by-tweet: play" : "pay-by-tweet: operate";
  if (name !== shown) scrollTo(0, 0);
  shown = name;
  operate.show(name === "operate");
}

function connection(state) {
  const place = byId("state");
  place.textContent = state === "on" ? "live" : "reconnecting …";
  place.dataset.state = state;
  if (state !== "on") return;
  // What was missed meanwhile is asked for whole; it may be another server, whose demo counts anew.
  told = 0;
  enter(true);
}

function handle(name, data) {
  if (name === "demo") {
    told = data.times ?? told;
    operate.demo?.hear(data);
  } else {
    if (name === "sample" && data) operate.demo?.offer(data.offers);
    operate.hear(name, data);
  }
}

/** Follows the system until it is told otherwise; that is remembered. */
function theme() {
  const KEY = "pay-by-tweet.theme";
  const root = document.documentElement;
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const stored = localStorage.getItem(KEY);
  if (stored) root.dataset.theme = stored;
  const button = byId("theme");
  const label = () => button.setAttribute("aria-label", dark() ? "Switch to light" : "Switch to dark");
  label();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem(KEY, root.dataset.theme);
    label();
    operate.recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => operate.recolour());
}

/** Asks for the token, where the server wants one, and tells why it does; `retry` answers whether it let one in. */
function askForKey(refused, retry) {
  // A wrong one is no use to other questions either.
  if (refused.keyed) token.set(undefined);
  const dialog = byId("key");
  const input = h("input", { type: "password", id: "key-value", autocomplete: "off", required: true, "aria-describedby": "key-why" });
  const go = async (event) => {
    const value = input.value.trim();
    // What no header can carry would fail every question from then on.
    if (!/^[\x20-\x7e]+$/.test(value)) {
      event.preventDefault();
      input.value = "";
      return toast("A token has no such characters.");
    }
    token.set(value);
    // Whoever listened as a stranger is told accounts, too, from now on.
    if (await retry()) listenAnew();
  };
  const form = h("form", { method: "dialog", onsubmit: go },
    h("h2", { id: "key-title" }, refused.keyed ? "This token is wrong" : "Account data needs a key"),
    h("p", { id: "key-why" }, "The server says: ", h("q", {}, refused.message)),
    h("p.note", {}, "This tab keeps the token until it is closed."),
    h("label", { for: "key-value" }, "Token"), input,
    h("p.actions", {}, h("button.primary", { type: "submit" }, "Go on"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Not now")));
  dialog.replaceChildren(form);
  dialog.showModal();
}

/**
 * To the demo, where one runs; else what is left is to operate. Answers whether the server let the page in. What comes
 * by itself, with a connection, asks nobody for a key: whoever is typing one would lose it.
 */
async function enter(byItself = false) {
  try {
    meet(await demo());
    if (operate.demo) operate.demo.offer(await get("/v1/offers"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) {
      if (!byItself) askForKey(error, enter);
      return false;
    }
    toast(error.message);
  }
  route();
  return true;
}

/** The demo's state; null where none runs. */
async function demo() {
  let state;
  let tries = 0;
  // What events told meanwhile is newer than an answer that was under way.
  do state = await get("/v1/demo");
  while (state && state.times < told && ++tries < TRIES_MAX);
  return state;
}

/** Shows what there is now. */
function meet(state) {
  // Nobody is taken away from what they do there.
  if (state && !operate.demo && views.operate.contains(document.activeElement)) history.replaceState(null, "", "#/operate");
  if (state) {
    play ??= new Play(act);
    play.begin(state);
  }
  operate.demo = state ? play : undefined;
  for (const id of ["tab-play", "clock"]) byId(id).hidden = !state;
}

async function begin() {
  theme();
  operate.askForKey = askForKey;
  addEventListener("hashchange", route);
  // A stranger to the demo can look at how it runs.
  if (!(await enter())) route();
  listen(handle, connection);
}

begin();
