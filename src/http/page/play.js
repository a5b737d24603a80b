// Play: what the person in front of the page has, and what they can do.

import { byId, clock, count, fill, h, lasting, say, toast } from "./dom.js";
import { Shop } from "./shop.js";
import { Orders } from "./order.js";
import { Timeline } from "./timeline.js";
import { cheats } from "./cheats.js";
import { Refused } from "./net.js";
import { told, mood, why } from "./words.js";

const FORWARDS = [[60, "+1 min"], [300, "+5 min"], [900, "+15 min"]];

export class Play {
  constructor(act) {
    this.send = act;
    this.offers = [];
    this.you = undefined;
    this.heard = new Set();
    this.waiting = [];
    this.shop = new Shop(this);
    this.orders = new Orders(this);
    this.timeline = new Timeline(this);
    setInterval(() => this.tick(), 250);
  }

  /** Everything, as the server tells it at the start and after a break. */
  begin(state) {
    this.service = state.service;
    this.window = state.confirm_window_ms;
    this.grace = state.reply_grace_ms;
    this.lateness = state.lateness_max_ms;
    byId("window").textContent = lasting(this.window);
    // What was said before the page was opened, or to somebody else, is not news.
    if (this.you?.account !== state.you.account) for (const reply of state.you.replies) this.heard.add(replyKey(reply));
    this.meet(state.you);
    this.timeline.begin(state.posts);
    this.hear({ ...state, posts: [], deleted: [] });
  }

  /** Who is in front of the page; somebody else waits for nothing that the former person did. */
  meet(you) {
    if (this.you && this.you.account !== you.account) {
      this.waiting = [];
      this.timeline.estrange();
    }
    this.you = you;
  }

  hear({ clock: time, posts, deleted, you, totals }) {
    this.clock = { ...time, told: performance.now() };
    if (totals) byId("pace").textContent = `${count(totals.posts)} tweets read, ${count(totals.shopping)} people shopping, ${count(totals.payments)} paid`;
    if (you) {
      this.meet(you);
      this.announce(you);
      this.draw();
    }
    if (posts) this.timeline.add(posts, deleted);
    this.drawCheats();
    this.tick();
    this.waiting = this.waiting.filter(({ until, go }) => (until() ? (go(), false) : true));
  }

  offer(offers) {
    const gone = (offer) => offer.quantity !== null && offer.quantity <= offer.sold + offer.held;
    this.offers = offers.filter((offer) => offer.kind === "purchase" && !offer.withdrawn)
      .sort((a, b) => gone(a) - gone(b) || a.merchant.localeCompare(b.merchant) || a.item.localeCompare(b.item));
    if (this.you) this.draw();
  }

  offerOf(id) {
    return this.offers.find((offer) => offer.id === id);
  }

  /** The demo's time, which the server tells now and then. */
  now() {
    const { now, told: at, speed, forward_to } = this.clock;
    return forward_to ? now : now + (performance.now() - at) * speed;
  }

  /** Does something; what can't be done is told. Answers whether it was done. */
  async act(name, fields) {
    try {
      await this.send(name, fields);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      toast(error.message);
      return false;
    }
  }

  tweet(text, more) {
    return this.act("tweet", { text, ...more });
  }

  forward(seconds) {
    return this.act("forward", { seconds: Math.max(1, Math.ceil(seconds)) });
  }

  /** Resolves once something is so; looked at with each event. */
  when(until) {
    return new Promise((go) => this.waiting.push({ until, go }));
  }

  announce(you) {
    for (const reply of you.replies) {
      const key = replyKey(reply);
      if (this.heard.has(key)) continue;
      this.heard.add(key);
      say(`@${this.service} replied: ${reply.text}`);
    }
  }

  tick() {
    if (!this.clock) return;
    const winding = Boolean(this.clock.forward_to);
    byId("clock").classList.toggle("winding", winding);
    const place = byId("clock");
    fill(place, `${winding}`, () => [
      h("span.time", { title: "The demo’s own time: it runs like yours and can be wound forward" }),
      ...FORWARDS.map(([seconds, label]) =>
        h("button.small", { type: "button", "data-key": label, disabled: winding, onclick: () => this.forward(seconds) }, label)),
    ]);
    place.querySelector(".time").textContent = clock(this.now());
    this.orders.tick();
  }

  draw() {
    const { you } = this;
    this.shop.draw();
    this.orders.draw();
    this.timeline.drawCompose();
    this.drawSteps();
    fill(byId("why"), JSON.stringify([you.posts, you.replies.length]), () => whyOf(you));
    fill(byId("mails"), JSON.stringify(you.mails), () => you.mails.length
      ? you.mails.toReversed().slice(0, 8).map((mail) => h("li", {}, h("time", {}, clock(mail.at)), h("p", {}, mail.text)))
      : h("li.empty", {}, "Nothing yet. A receipt comes with each purchase."));
    this.drawCheats();
  }

  drawSteps() {
    const { you } = this;
    const has = (...states) => you.purchases.some((one) => states.includes(one.state));
    const paid = has("authorized", "fulfilled");
    const step = paid ? 4 : has("prompted") ? 2 : you.card ? 1 : 0;
    const texts = ["Link a card", "Tweet a buy tag", "Confirm the reply", "Paid and shipped"];
    fill(byId("steps"), `${step}`, () => [texts.map((text, at) => h(
      `li.${at < step ? "done" : at === step ? "now" : "later"}`,
      at === step ? { "aria-current": "step" } : {},
      h("span.dot", { "aria-hidden": "true" }, at < step ? "✓" : `${at + 1}`), text)),
    paid && h("li.next", {}, "Now try to cheat, or ", h("a", { href: "#/operate" }, "see what goes on inside"))]);
  }

  drawCheats() {
    if (!this.you || !this.clock) return;
    const all = cheats(this);
    const signature = JSON.stringify(all.map(({ title, can }) => [title, can]));
    fill(byId("cheats"), signature, () => all.map(({ title, text, can }) => h("li", {},
      h("button.cheat", { type: "button", "data-key": title, "aria-disabled": can === true ? "false" : "true",
        onclick: () => this.cheat(title) },
        h("b", {}, title), h("span", {}, can === true ? text : can)))));
  }

  /** With what there is at the click: orders come and go while the button says the same. */
  cheat(title) {
    const { can, go } = cheats(this).find((one) => one.title === title);
    if (can === true) go();
    else toast(can);
  }
}

function replyKey(reply) {
  return reply.post ?? `${reply.kind} ${reply.at} ${reply.text}`;
}

/** The person's own tweets, newest first, each with what the service made of it. */
function whyOf(you) {
  if (!you.posts.length) return h("li.empty", {}, "Nothing yet. Every tweet of yours is judged here, with its reason.");
  return you.posts.toReversed().slice(0, 20).map((post) => h("li", {},
    h("p.own", {}, h("time", {}, clock(post.at)), " ", post.text,
      post.edited && h("span.tag", {}, "edited"), post.deleted && h("span.tag", {}, "deleted")),
    h("div.verdicts", {}, post.verdicts.length ? post.verdicts.map(verdict) : nothing(post))));
}

function verdict(event) {
  const refused = event.from === event.to;
  return h("p.verdict", {}, h(`span.badge.${refused ? "bad" : mood(event.to)}`, {}, told(event)),
    event.reason && h("code", {}, event.reason), event.reason && h("span", {}, why(event.reason)));
}

/** No event tells of a post that concerned no order: it was only counted. */
function nothing(post) {
  if (!post.settled) return h("p.verdict", {}, h("span.badge.plain", {}, "being read …"));
  const reason = post.how === "retweet" ? "retweet" : /#confirm/i.test(post.text) ? "no_purchase" : undefined;
  return h("p.verdict", {}, h("span.badge.plain", {}, "No effect"), reason && h("code", {}, reason),
    h("span", {}, reason ? why(reason) : "It carries no tag that means anything here."));
}
