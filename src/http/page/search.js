// An account: what it has, and why each of its verdicts fell.

import { byId, clock, h, money, toast } from "./dom.js";
import { get, Refused } from "./net.js";
import { ASIDE, mood, told, why } from "./words.js";

export class Search {
  constructor(operate) {
    this.operate = operate;
  }

  begin() {
    const form = byId("search");
    if (!form.childElementCount) this.make(form);
    this.you.hidden = !this.operate.demo;
  }

  make(form) {
    this.input = h("input", { id: "account", type: "text", placeholder: "twitter:783214", autocomplete: "off", spellcheck: "false" });
    this.you = h("button", { type: "button", onclick: () => this.find(this.operate.demo.you.account) }, "You");
    form.append(h("label.sr", { for: "account" }, "An account: network and user id"), this.input, h("button.primary", { type: "submit" }, "Look up"), this.you);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (text) this.find(/^\d+$/.test(text) ? `twitter:${text}` : text);
    });
  }

  /** Answers whether the server let it ask. */
  async find(account) {
    this.input.value = account;
    const path = `/v1/accounts/${encodeURIComponent(account)}`;
    try {
      const [now, past] = await Promise.all([get(path).catch(missing), get(`${path}/events`)]);
      byId("found").replaceChildren(...this.draw(account, now, past));
      byId("found").scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) {
        this.operate.askForKey(error, () => this.find(account));
        return false;
      }
      toast(error.message);
    }
    return true;
  }

  draw(account, now, { events, complete }) {
    const purchases = Object.values(Object.groupBy(events, (event) => event.purchase)).toReversed();
    const known = new Map(now?.purchases.map((one) => [one.id, one]));
    return [
      h("p.who", {}, h("b", {}, account), now?.link
        ? h("span", {}, `@${now.link.handle} · card ${now.link.card} · ${now.link.country}${now.link.frozen ? " · frozen" : ""}`)
        : h("span.note", {}, now ? "no card is linked" : "nothing is remembered of it now")),
      purchases.length ? h("ol.stories", {}, purchases.map((story) => h("li", {},
        h("p.head", {}, h("b", {}, story[0].offer), known.has(story[0].purchase) && h("span.note", {}, sumOf(known.get(story[0].purchase))),
          h(`span.badge.${mood(story.at(-1).to)}`, {}, ASIDE[story.at(-1).to] ?? story.at(-1).to)),
        h("ol", {}, story.map((event) => h("li", {}, h("time", {}, clock(Date.parse(event.at))), " ", told(event),
          event.reason && [" ", h("code", {}, event.reason), " ", h("span.note", {}, why(event.reason))])))))) : h("p.empty", {}, "No purchase of this account is in the log."),
      !complete && h("p.note", {}, "Older events than these are not shown."),
    ].filter(Boolean);
  }
}

function sumOf({ amount, exponent }) {
  return money(amount, exponent);
}

/** That nothing is remembered is an answer, too. */
function missing(error) {
  if (error.status === 404) return undefined;
  throw error;
}
