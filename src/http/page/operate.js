// Operate: what the running program does, by one sample a second. Drawn only while it is looked at.

import { byId, clock, count, fill, h, isHeld, onRelease, rate, span } from "./dom.js";
import { drawGraph } from "./graph.js";
import { Plots } from "./plots.js";
import { drawDead, drawFunnel, drawPending, drawSources, drawStages } from "./tables.js";
import { Search } from "./search.js";
import { mood, told } from "./words.js";

const FEED_MAX = 14;

export class Operate {
  constructor() {
    this.shown = false;
    this.feed = [];
    this.plots = new Plots(byId("plots"));
    this.search = new Search(this);
    onRelease(byId("feed"), () => this.draw());
    document.addEventListener("visibilitychange", () => this.draw());
  }

  show(shown) {
    this.shown = shown;
    if (!shown) return;
    this.search.begin();
    this.plots.begin();
    this.draw();
  }

  recolour() {
    this.plots.recolour();
  }

  hear(name, data) {
    if (name === "history") this.plots.past(data.points);
    else if (name === "sample" && data) {
      this.sample = data;
      this.plots.add(data);
      this.draw();
    } else if (name === "transitions") {
      this.feed = [...data.events.toReversed(), ...this.feed].slice(0, FEED_MAX);
      this.skipped = data.skipped;
      if (this.isSeen()) this.drawFeed();
    }
  }

  isSeen() {
    return this.shown && !document.hidden;
  }

  draw() {
    const { sample } = this;
    if (!sample || !this.isSeen()) return;
    this.drawTiles(sample);
    drawGraph(byId("graph"), sample);
    this.plots.draw();
    drawStages(byId("stages"), sample);
    drawSources(byId("sources"), sample);
    drawPending(byId("pending"), sample);
    drawDead(byId("dead"), sample);
    drawFunnel(byId("funnel"), sample);
    this.drawFeed();
  }

  drawTiles(sample) {
    const sum = (pick) => sample.stages.reduce((all, stage) => all + pick(stage), 0);
    const rates = sample.transitions.per_second;
    const dead = Object.values(sample.dead_letters.total).reduce((all, n) => all + n, 0);
    const lag = Math.max(...sample.stages.map((stage) => stage.lag_ms));
    const doubts = sum((stage) => stage.aborts + stage.uncertain + stage.fenced);
    const held = sample.sources.filter((source) => source.held).length;
    const tiles = [
      ["State", sample.ready ? "ready" : "not ready", sample.ready ? "good" : "bad", `${sum((stage) => stage.ready)} of ${sum((stage) => stage.workers)} workers`],
      ["Read", `${rate(sample.stages[0].records_per_second)}/s`, "", `${rate(rates.prompted ?? 0)} prompts/s`],
      ["Paid", `${rate(rates.authorized ?? 0)}/s`, "", `${count(sample.transitions.total.authorized ?? 0)} since the start`],
      ["Behind", span(lag), lag > 10_000 ? "bad" : lag > 2000 ? "wait" : "", `${count(sum((stage) => stage.lag_records))} records unread`],
      ["Pending", count(sample.accounts.waiting), "", `in ${count(sample.accounts.accounts)} accounts`],
      ["Back-pressure", held ? `${held} held` : "none", held ? "wait" : "", sample.full_shards ? `${sample.full_shards} shards are full` : "no shard is full"],
      ["Dead letters", count(dead), dead ? "wait" : "", `${count(doubts)} transactions undone`],
    ];
    const place = byId("tiles");
    if (place.childElementCount !== tiles.length) {
      place.replaceChildren(...tiles.map(([name]) => h("div", {}, h("dt", {}, name), h("dd.number"), h("dd.note"))));
    }
    tiles.forEach(([, value, tone, note], at) => {
      const [, number, more] = place.children[at].children;
      setText(number, value);
      number.dataset.tone = tone;
      setText(more, note);
    });
  }

  drawFeed() {
    const { feed } = this;
    const place = byId("feed");
    if (isHeld(place) && place.querySelector("time")) {
      setText(byId("feed-note"), "it waits while you point at it");
      return;
    }
    setText(byId("feed-note"), this.skipped ? `a few of the transitions; ${count(this.skipped)} more in the last half second` : "a few of the transitions");
    fill(place, JSON.stringify(feed), () => feed.length ? feed.map((event) => h("li", {},
      h("time", {}, clock(Date.parse(event.at))),
      h(`span.badge.${event.from === event.to ? "bad" : mood(event.to)}`, {}, told(event)),
      h("span.offer-id", {}, event.offer), event.reason && h("code", {}, event.reason),
      event.account && h("button.quiet", { type: "button", "data-key": keyOf(event), onclick: () => this.search.find(event.account) }, event.account))) : h("li.empty", {}, "Nothing has happened yet."));
  }
}

/** What an event is known by when the feed is drawn anew. */
function keyOf({ purchase, at, from, to, reason }) {
  return [purchase, at, from, to, reason].join(" ");
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
