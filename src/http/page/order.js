// The person's orders: where each stands, how long it can be confirmed, and how.

import { byId, clock, countdown, fill, h, lasting, money } from "./dom.js";
import { mood, STATES, why } from "./words.js";
import { orderOf } from "./cheats.js";

/** After the last moment at which a confirm may come, for the next tweets to tell that it has passed. */
const SLACK_MS = 60_000;

/** Shown besides those that wait. */
const PAST_MAX = 6;

export class Orders {
  constructor(play) {
    this.play = play;
    this.open_before = Infinity;
  }

  draw() {
    const { you, offers } = this.play;
    const place = byId("orders");
    const isOpen = (one) => ["ordered", "waitlisted", "prompted"].includes(one.state);
    const open = you.purchases.filter(isOpen).toReversed();
    const ended = (one) => one.events.at(-1)?.at ?? "";
    const past = you.purchases.filter((one) => !isOpen(one)).sort((a, b) => ended(b).localeCompare(ended(a))).slice(0, PAST_MAX);
    const replies = you.replies.map(({ purchase, at }) => [purchase, at]);
    fill(place, JSON.stringify([open, past, replies, offers.length, Boolean(you.card)]), () => open.length + past.length
      ? [open.map((one) => this.open(one)), past.map((one) => this.past(one))]
      : h("p.empty", {}, you.card ? "Nothing yet. Choose an offer and tweet its tag." : "Nothing yet. It begins with a card."));
    this.tick();
    // Whoever ordered further down, on a phone say, is shown what came of it.
    if (open.length > this.open_before) this.reveal(place.closest(".panel"));
    this.open_before = open.length;
  }

  reveal(panel) {
    const { top, bottom } = panel.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) panel.scrollIntoView({ block: "start" });
  }

  /** The countdowns. */
  tick() {
    const { grace, lateness, window: time } = this.play;
    const later = lateness ? `, up to ${lasting(lateness)} later` : "";
    for (const node of document.querySelectorAll("#orders [data-deadline]")) {
      const left = Number(node.dataset.deadline) - this.play.now();
      node.style.setProperty("--left", String(Math.min(1, Math.max(0, left / (time + grace)))));
      node.dataset.mood = left <= 0 ? "over" : left < time / 5 ? "soon" : "calm";
      node.querySelector(".digits").textContent = countdown(left);
      node.querySelector(".hint").textContent = left > 0 ? "left to confirm" : `Time is up. It ends once every source of tweets has passed the deadline${later}.`;
    }
  }

  head(purchase) {
    const offer = this.play.offerOf(purchase.offer);
    return h("header", {}, h("h3", {}, offer?.item ?? purchase.offer),
      h("span.price", {}, offer ? `${offer.merchant} · ${money(offer.price, offer.exponent)}` : ""),
      h(`span.badge.${mood(purchase.state)}`, {}, STATES[purchase.state] ?? purchase.state));
  }

  open(purchase) {
    const { play } = this;
    const { you } = play;
    const offer = play.offerOf(purchase.offer);
    const prompt = you.replies.findLast((reply) => reply.kind === "prompt" && reply.purchase === purchase.id);
    // One that came as a direct message can be read, but neither retweeted nor answered.
    const post = prompt?.post;
    if (purchase.state !== "prompted" || !offer) {
      const text = purchase.state === "waitlisted" ? "All units are on hold. You are in line and will be told when one is free."
        : "The service asks whether one is left …";
      return h("article.order", {}, this.head(purchase), h("p", {}, text));
    }
    const key = (name) => `${name} ${purchase.id}`;
    const act = (name, label, go, primary) => h(`button${primary ? ".primary" : ""}`, { type: "button", "data-key": key(name), "data-do": name, onclick: go }, label);
    const order = orderOf(you, purchase);
    return h("article.order.waits", { "data-purchase": purchase.id }, this.head(purchase),
      purchase.deadline && h("div.countdown", { "data-deadline": purchase.deadline, role: "timer", "aria-label": "Time left to confirm" },
        h("span.digits", {}), h("span.hint", {}), h("span.bar", { "aria-hidden": "true" })),
      prompt ? h("blockquote.reply", {}, h("b", {}, `@${play.service}`), " ", prompt.text)
        : h("p.reply.pending", {}, `@${play.service} is replying …`),
      h("div.confirm", {},
        act("confirm", `Tweet #${offer.confirm_tag}`, () => play.tweet(`#${offer.confirm_tag}`), true),
        post && act("retweet", "Retweet the reply", () => play.act("retweet", { post })),
        post && act("reply", "Reply with the tag", () => play.tweet(`yes! #${offer.confirm_tag}`, { reply_to: post })),
        post && act("cancel", "Cancel", () => play.tweet("Cancel please, I changed my mind", { reply_to: post })),
        order && act("delete", "Delete my tweet", () => play.act("delete", { post: order.id })),
        purchase.deadline && act("expire", "Wind on until it expires", () => play.forward((purchase.deadline - play.now() + play.lateness + SLACK_MS) / 1000))),
      refusals(purchase));
  }

  past(purchase) {
    const last = purchase.events.at(-1) ?? {};
    const ended = purchase.events.findLast((event) => event.from !== event.to) ?? last;
    const { payment } = purchase;
    return h("article.order.past", { "data-purchase": purchase.id, "data-state": purchase.state }, this.head(purchase),
      payment && h("ul.receipt", {},
        h("li", {}, `Paid ${money(payment.amount, payment.exponent)} with the card ending in ${payment.card_ends}`),
        purchase.ordered && h("li", {}, `Ordered at ${payment.merchant}; it ships to your billing address`),
        h("li", {}, "The merchant saw no card, the network no money")),
      !payment && ended.reason && h("p.verdict", {}, h("code", {}, ended.reason), h("span", {}, why(ended.reason))),
      !payment && purchase.state === "expired" && h("p", {}, `Nobody confirmed in time; it ended at ${clock(Date.parse(ended.at))}. Nothing is owed.`),
      refusals(purchase));
  }
}

/** Confirms that were weighed against it and refused. */
function refusals({ events }) {
  return events.filter((event) => event.from !== null && event.from === event.to).map((event) => h("p.verdict", {},
    h("span.badge.bad", {}, "Confirm refused"), h("code", {}, event.reason), h("span", {}, why(event.reason))));
}
