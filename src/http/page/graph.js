// The pipeline as a graph of boxes: where records come from, the three stages, where they go.

import { clock, count, fill, h, rate, span } from "./dom.js";

const STAGES = { screen: "finds the posts that matter", accounts: "judges each account’s words", offers: "stock, lines, funnels" };

/** Built once, then only numbers change. */
export function drawGraph(place, sample) {
  if (!place.childElementCount) build(place);
  const put = (name, text) => {
    const node = place.querySelector(`[data-n="${name}"]`);
    if (node && node.textContent !== text) node.textContent = text;
  };
  const [screen, accounts, offers] = sample.stages;
  put("in", `${rate(screen.records_per_second)}/s`);
  put("intents", `${rate(screen.sent_per_second)}/s`);
  put("out", `${rate(accounts.sent_per_second)}/s`);
  put("stock", `${rate(offers.records_per_second + offers.sent_per_second)}/s`);
  const held = sample.sources.filter((source) => source.held).length;
  put("sources", held ? `${held} of ${sample.sources.length} sources wait for one behind` : `${sample.sources.length} sources of posts`);
  fill(place.querySelector(".topics"), JSON.stringify(screen.lag), () => screen.lag.map((topic) =>
    h("li", {}, topic.topic, h("b", { "data-lag": topic.records ? "some" : "none" }, `${count(topic.records)} unread`))));
  for (const stage of sample.stages) {
    const box = place.querySelector(`[data-stage="${stage.name}"]`);
    box.dataset.mood = stage.ready < stage.workers || !stage.workers ? "bad" : stage.lag_ms > 10_000 ? "wait" : "good";
    put(`${stage.name}-rate`, rate(stage.records_per_second));
    put(`${stage.name}-lag`, `${count(stage.lag_records)} behind · ${span(stage.lag_ms)}`);
    put(`${stage.name}-tx`, stage.transaction_ms_p99 === null ? "no transaction" : `${rate(stage.commits_per_second)} tx/s · p99 ${span(stage.transaction_ms_p99)}`);
    put(`${stage.name}-mark`, stage.watermark === null ? "" : `watermark ${clock(stage.watermark)}`);
  }
  const replies = Object.values(sample.replies.per_second).reduce((all, n) => all + n, 0);
  const transitions = Object.values(sample.transitions.per_second).reduce((all, n) => all + n, 0);
  const all = { replies, payments: sample.transitions.per_second.authorized, orders: sample.transitions.per_second.fulfilled, transitions };
  for (const [name, n] of Object.entries(all)) put(name, `${rate(n ?? 0)}/s`);
}

function build(place) {
  const n = (name) => h("span", { "data-n": name });
  const stage = (name) => h("div.box.stage", { "data-stage": name },
    h("h3", {}, h("span.lamp", { "aria-hidden": "true" }), name),
    h("p.note", {}, STAGES[name]),
    h("p.big", {}, h("b", { "data-n": `${name}-rate` }), " records/s"),
    h("p", {}, n(`${name}-lag`)), h("p", {}, n(`${name}-tx`)), h("p.note", {}, n(`${name}-mark`)));
  const edge = (name, label) => h(`div.edge.to-${name}`, {}, h("span.rate", { "data-n": name }), h("span.line", { "aria-hidden": "true" }), h("span.note", {}, label));
  place.append(
    h("div.box.inputs", {}, h("h3", {}, "Inputs"), h("p.note", {}, "posts, links, offers, what was posted"), h("p", {}, n("sources")), h("ul.topics")),
    edge("in", "read"), stage("screen"), edge("intents", "intents, ticks"), stage("accounts"), edge("out", "sent"),
    h("div.box.outputs", {}, h("h3", {}, "Outputs"), h("p.note", {}, "in one transaction with the state"), h("ul.topics", {}, ["replies", "payments", "orders", "transitions"].map((name) => h("li", {}, name, h("b", { "data-n": name }))))),
    edge("stock", "holds, sales, answers"), stage("offers"));
}
