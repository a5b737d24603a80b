// The timeline: tweets as they come, and the box to write one's own. It stands still while somebody points at it or
// has the focus in it, so that what is aimed at does not move away.

import { byId, clock, fill, h, isHeld, onRelease } from "./dom.js";
import { hue } from "./shop.js";

const SHOWN_MAX = 60;
const TEXT_MAX = 280;

export class Timeline {
  constructor(play) {
    this.play = play;
    this.posts = [];
    this.queue = [];
    this.place = byId("timeline");
    this.answer = undefined;
    onRelease(this.place, () => this.release());
    byId("held").addEventListener("click", () => this.release());
    this.makeCompose();
  }

  /** All that there is; also after a break, when some of what is shown may be gone. */
  begin(posts) {
    const there = new Set(posts.map((post) => post.id));
    for (const { id } of [...this.posts, ...this.queue]) if (!there.has(id)) this.strike(id);
    const known = new Set([...this.posts, ...this.queue].map((post) => post.id));
    this.add(posts.slice(-SHOWN_MAX).filter((post) => !known.has(post.id)), []);
  }

  /** Somebody else is in front of the page: what was theirs and to them is a stranger's, as the server tells it. */
  estrange() {
    const strange = (post) => (post.role === "you" ? { ...post, role: "crowd" } : post.to_you ? { ...post, to_you: false } : post);
    this.queue = this.queue.map(strange);
    this.posts = this.posts.map((post) => {
      const now = strange(post);
      if (now !== post) this.place.querySelector(`[data-id="${post.id}"]`)?.replaceWith(this.draw(now));
      return now;
    });
    if (this.answer?.how !== "edit") return;
    this.input.value = "";
    this.answerTo(undefined);
  }

  add(posts, deleted) {
    for (const id of deleted) this.strike(id);
    if (!posts.length) return;
    const mine = posts.filter((post) => post.role === "you" || post.to_you);
    const others = posts.filter((post) => !(post.role === "you" || post.to_you));
    this.insert(mine);
    if (isHeld(this.place)) this.queue = [...this.queue, ...others].slice(-SHOWN_MAX);
    else this.insert(others);
    this.drawHeld();
  }

  /** A prompt to somebody else, the newest. */
  promptOfAnother() {
    return this.posts.findLast((post) => post.role === "service" && !post.to_you && /#confirm/i.test(post.text));
  }

  somebody() {
    return this.posts.findLast((post) => post.role === "crowd" && post.how === "own");
  }

  release() {
    this.insert(this.queue);
    this.queue = [];
    this.drawHeld();
  }

  drawHeld() {
    const held = byId("held");
    held.hidden = !this.queue.length;
    held.textContent = `${this.queue.length} new ${this.queue.length === 1 ? "tweet" : "tweets"}; it waits while you point at it`;
  }

  insert(posts) {
    for (const post of posts) {
      if (this.posts.some((known) => known.id === post.id)) continue;
      for (const { id, first } of this.posts) if (first === post.first) this.strike(id);
      this.posts.push(post);
      this.place.prepend(this.draw(post));
    }
    this.posts = this.posts.slice(-SHOWN_MAX);
    while (this.place.childElementCount > SHOWN_MAX) this.place.lastElementChild.remove();
  }

  strike(id) {
    this.posts = this.posts.filter((post) => post.id !== id);
    this.queue = this.queue.filter((post) => post.id !== id);
    this.place.querySelector(`[data-id="${id}"]`)?.remove();
  }

  draw(post) {
    const { play } = this;
    const small = (label, name, go) => h("button.quiet", { type: "button", onclick: go, "aria-label": `${name} @${post.handle}’s tweet` }, label);
    const mine = post.role === "you";
    const names = { you: "you", service: "the service", shopper: "shopper" };
    return h(`li.tweet.${post.role}${post.to_you ? ".to-you" : ""}`, { "data-id": post.id },
      h("span.avatar", { "aria-hidden": "true", "data-hue": hue(post.handle) }, mine ? "☺" : post.role === "service" ? "✓" : post.handle[0].toUpperCase()),
      h("div.body", {},
        h("p.head", {}, h("b", {}, `@${post.handle}`), names[post.role] && h("span.role", {}, names[post.role]),
          post.edited && h("span.tag", {}, "edited"), h("time", {}, clock(post.at))),
        post.how === "retweet"
          ? h("p.text", { dir: "auto" }, h("span.re", {}, `retweeted @${post.of.handle}: `), this.tagged(post.of.text))
          : h("p.text", { dir: "auto" }, this.tagged(post.text)),
        post.how === "quote" && h("blockquote", { dir: "auto" }, h("b", {}, `@${post.of.handle}`), " ", post.of.text),
        h("p.tools", {},
          small("Reply", "Reply to", () => this.answerTo(post, "reply_to")),
          small("Retweet", "Retweet", () => play.act("retweet", { post: post.id })),
          small("Quote", "Quote", () => this.answerTo(post, "quote_of")),
          mine && post.how !== "retweet" && small("Edit", "Edit", () => this.answerTo(post, "edit")),
          mine && small("Delete", "Delete", () => play.act("delete", { post: post.id })))));
  }

  /** Tags of offers stand out. */
  tagged(text) {
    return text.split(/([#＃][\p{L}\p{N}_]+)/u).map((part, at) => (at % 2 ? h("span.hash", {}, part) : part));
  }

  makeCompose() {
    const form = byId("compose");
    this.input = h("textarea", { id: "text", rows: "2", maxlength: String(TEXT_MAX), "aria-describedby": "left" });
    this.left = h("span.count", { id: "left" });
    this.chip = h("p.chip", { hidden: true });
    this.submit = h("button.primary", { type: "submit", disabled: true }, "Tweet");
    this.input.addEventListener("input", () => this.drawCompose());
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      if (event.key === "Escape" && this.answer) this.answerTo(undefined);
    });
    form.append(h("label.sr", { for: "text" }, "Your tweet"), this.chip, this.input, h("p.actions", {}, this.left, this.submit));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.post();
    });
  }

  drawCompose() {
    const { play, input } = this;
    input.placeholder = `Tweet as @${play.you.handle}: whatever you like`;
    const length = [...input.value].length;
    this.left.textContent = length ? String(TEXT_MAX - length) : "";
    this.submit.disabled = !input.value.trim();
    this.submit.textContent = this.answer?.how === "edit" ? "Save" : "Tweet";
    const words = { reply_to: "Reply to", quote_of: "Quote", edit: "Edit" };
    this.chip.hidden = !this.answer;
    fill(this.chip, JSON.stringify([this.answer?.how, this.answer?.post.id]), () => this.answer && [
      `${words[this.answer.how]} @${this.answer.post.handle} `,
      h("button.quiet", { type: "button", onclick: () => this.answerTo(undefined), "aria-label": "Give it up" }, "✕")]);
  }

  answerTo(post, how) {
    this.answer = post && { post, how };
    if (how === "edit") this.input.value = post.text;
    this.drawCompose();
    if (post) this.input.focus();
  }

  async post() {
    const { answer, input, play } = this;
    const text = input.value;
    const done = answer?.how === "edit"
      ? await play.act("edit", { post: answer.post.id, text })
      : await play.tweet(text, answer && { [answer.how]: answer.post.id });
    if (!done) return;
    input.value = "";
    this.answerTo(undefined);
  }
}
