// Nodes, formats and announcements. Texts only ever become text nodes.

/** `h("button.primary", {onclick}, "Buy")`: an element with classes, properties and children. */
export function h(what, props, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

let pressed;
const later = new Map();
addEventListener("pointerdown", (event) => (pressed = event.target), true);
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => setTimeout(() => {
    pressed = undefined;
    const waiting = [...later.values()];
    later.clear();
    for (const redo of waiting) redo();
  }), true);
}

/**
 * Replaces what is in a place, unless it is what was there. Focus stays on the node with the same `data-key`, and what
 * is being clicked stays until the click is through: a button that is replaced between press and release does nothing.
 */
export function fill(place, signature, make) {
  if (place.dataset.signature === signature) return false;
  if (pressed && place.contains(pressed)) {
    later.set(place, () => fill(place, signature, make));
    return false;
  }
  place.dataset.signature = signature;
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...[make()].flat(9).filter(Boolean));
  if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  return true;
}

/** Whether somebody points at what is in a place or has the focus in it: then it must not move away. */
export function isHeld(place) {
  return place.matches(":hover") || (place.contains(document.activeElement) && place.matches(":focus-within"));
}

/** Calls when nobody holds a place any more. */
export function onRelease(place, resume) {
  const look = () => queueMicrotask(() => isHeld(place) || resume());
  place.addEventListener("pointerleave", look);
  // From one thing of a place to the next the focus is nowhere for a moment.
  place.addEventListener("focusout", (event) => place.contains(event.relatedTarget) || look());
}

/** Tells a screen reader. */
export function say(text) {
  byId("said").textContent = text;
}

let toastTimer;
/** Tells everybody, for a while: what could not be done. */
export function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (place.hidden = true), 6000);
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export function count(n) {
  return Math.abs(n) >= 100_000 ? short.format(n) : whole.format(n);
}

export function rate(n) {
  return Math.abs(n) < 100 ? tenths.format(n) : count(n);
}

/** The exponent is the server's, by ISO 4217: what browsers know differs for some currencies, IDR and HUF among them. */
export function money({ minor, currency }, exponent) {
  const digits = { minimumFractionDigits: exponent, maximumFractionDigits: exponent };
  return new Intl.NumberFormat("en-US", { style: "currency", currency, ...digits }).format(minor / 10 ** exponent);
}

/** `4:05`, `1:02:03`. */
export function countdown(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** `340 ms`, `2.1 s`, `45 s`, `4 min`, `3.2 h`. */
export function span(ms) {
  if (ms < 100) return `${tenths.format(ms)} ms`;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  if (ms < 10_000) return `${tenths.format(ms / 1000)} s`;
  if (ms < 120_000) return `${whole.format(ms / 1000)} s`;
  if (ms < 7_200_000) return `${whole.format(ms / 60_000)} min`;
  return `${tenths.format(ms / 3_600_000)} h`;
}

/** `15 minutes`, `90 seconds`, `1 hour`: whole ones of the largest unit that they are. */
export function lasting(ms) {
  const units = [[3_600_000, "hour"], [60_000, "minute"], [1000, "second"]];
  const [size, name] = units.find(([size]) => ms >= size && ms % size === 0) ?? units.at(-1);
  return `${tenths.format(ms / size)} ${name}${ms === size ? "" : "s"}`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function bytes(n) {
  return n < 1024 ? `${n} B` : n < 1 << 20 ? `${tenths.format(n / 1024)} KiB` : `${tenths.format(n / 2 ** 20)} MiB`;
}
