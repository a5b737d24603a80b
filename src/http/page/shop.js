// The card, and what is on offer.

import { byId, fill, h, money } from "./dom.js";

export class Shop {
  constructor(play) {
    this.play = play;
  }

  draw() {
    const { play } = this;
    const { you, offers } = play;
    fill(byId("card"), JSON.stringify([you.card, you.card_ends, you.handle, you.country]), () => this.card(you));
    const bought = you.purchases.map(({ offer, state }) => `${offer} ${state}`);
    const place = byId("offers");
    const told = offers.map(({ id, merchant, item, price, buy_tag }) => [id, merchant, item, price, buy_tag]);
    fill(place, JSON.stringify([Boolean(you.card), told, bought]), () => offers.map((offer) => this.offer(offer)));
    // Stock changes with every shopper: only its number does.
    for (const offer of offers) {
      const left = place.querySelector(`[data-left="${CSS.escape(offer.id)}"]`);
      const text = offer.quantity === null ? "" : offer.quantity > offer.held + offer.sold ? `${offer.quantity - offer.held - offer.sold} left` : "sold out";
      if (left && left.textContent !== text) left.textContent = text;
    }
  }

  card(you) {
    const { play } = this;
    if (!you.card) {
      return [
        h("p", {}, "You are ", h("b", {}, `@${you.handle}`), ". A card that is made up for you is enough; no shop and no network ever sees it."),
        h("button.primary.wide", { type: "button", id: "link", "data-key": "link", onclick: () => play.act("link") }, "Link a demo card"),
      ];
    }
    const suspended = you.card === "suspended";
    return [
      h(`div.plastic${suspended ? ".off" : ""}`, {},
        h("span.issuer", {}, "Demo card"),
        h("span.number", { "aria-label": `Card ending in ${you.card_ends}` }, `•••• •••• •••• ${you.card_ends}`),
        h("span.holder", {}, `@${you.handle}`),
        h("span.status", {}, suspended ? "suspended" : `active · ${you.country}`)),
      h("p.actions", {},
        suspended || you.country !== "US"
          ? h("button.small", { type: "button", "data-key": "relink", onclick: () => play.act("link") }, "Link it anew (US)")
          : h("button.small", { type: "button", "data-key": "unlink", onclick: () => play.act("unlink") }, "Unlink"),
        h("button.small", { type: "button", "data-key": "anew", title: "A new person with nothing bought", onclick: () => play.act("anew") }, "Be somebody new")),
    ];
  }

  offer(offer) {
    const { play } = this;
    const { you } = play;
    const waits = you.purchases.some((one) => one.offer === offer.id && ["prompted", "ordered", "waitlisted"].includes(one.state));
    const button = you.card
      ? h("button", { type: "button", "data-key": `buy ${offer.id}`, "data-offer": offer.id,
        onclick: () => play.tweet(`#${offer.buy_tag}`) }, `Tweet #${offer.buy_tag}`)
      : h("button", { type: "button", "data-key": `buy ${offer.id}`, disabled: true }, "Link a card first");
    const isFirst = !you.purchases.length && offer === play.offers[0];
    if (you.card && !waits) button.classList.add(isFirst ? "primary" : "tonal");
    return h("li.offer", {},
      h("p.who", {}, h("span.avatar", { "aria-hidden": "true", "data-hue": hue(offer.merchant) }, offer.merchant[0].toUpperCase()),
        h("b", {}, offer.merchant), h("span.left", { "data-left": offer.id })),
      h("p.pitch", {}, `Get ${offer.item} for `, h("b", {}, money(offer.price, offer.exponent)), " with your linked card. Tweet ",
        h("span.hash", {}, `#${offer.buy_tag}`), " to start."),
      button);
  }
}

/** One of six colours, always the same for a name. */
export function hue(name) {
  return String([...name].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % 6);
}
