// Tables of Operate: transactions, sources, what is pending, what was refused, and what became of conversations.

import { bytes, clock, count, fill, h, money, rate, span } from "./dom.js";
import { why } from "./words.js";

function table(head, rows, caption) {
  return h("table", {}, caption && h("caption.sr", {}, caption),
    h("thead", {}, h("tr", {}, head.map((text, at) => h(`th${at ? ".num" : ""}`, { scope: "col" }, text)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => at
      ? h("td.num", {}, cell) : h("th", { scope: "row" }, cell))))));
}

export function drawStages(place, { stages }) {
  const ms = (value) => (value === null ? "–" : span(value));
  const rows = stages.map((stage) => [stage.name, `${rate(stage.commits_per_second)}/s`, ms(stage.transaction_ms_p50), ms(stage.transaction_ms_p99),
    count(stage.commits), count(stage.aborts), count(stage.uncertain + stage.fenced), count(stage.restores)]);
  fill(place, JSON.stringify(rows), () => table(["Stage", "Rate", "p50", "p99", "Committed", "Aborted", "In doubt", "Restores"], rows, "Transactions by stage"));
}

export function drawSources(place, { sources, now, stages }) {
  const accounts = stages.find((stage) => stage.name === "accounts");
  const behind = (mark) => (mark === null ? "not told yet" : `${span(Math.max(0, now - mark))} ago`);
  const state = (source) => (source.held ? h("span.badge.wait", {}, "held") : source.at_end ? "read to its end" : "reading");
  const rows = sources.map((source) => [source.name, behind(source.watermark), count(source.lag_records), state(source)]);
  rows.push([h("b", {}, "accounts’ watermark"), behind(accounts?.watermark ?? null), "", accounts?.watermark ? clock(accounts.watermark) : ""]);
  const signature = JSON.stringify([sources.map((source) => [source.held, source.at_end]), rows.map((row) => row[1] + row[2])]);
  fill(place, signature, () => table(["Source", "Event time", "Unread", "State"], rows, "Sources and watermarks"));
}

export function drawPending(place, { accounts }) {
  const { pending, pending_edges_ms: edges } = accounts;
  fill(place, JSON.stringify(pending), () => {
    if (!pending?.length) return h("p.empty", {}, "No account is in this process.");
    const most = Math.max(1, ...pending);
    const label = (at) => (at === 0 ? "past it" : at < edges.length ? `≤ ${edges[at] / 60_000} min` : `> ${edges.at(-1) / 60_000} min`);
    return [
      h("ol.bars", {}, pending.map((n, at) => h("li", {}, h("span.name", {}, label(at)),
        h("span.bar", { vars: { "--share": String(n / most) }, "aria-hidden": "true" }), h("span.number", {}, count(n))))),
      h("p.note", {}, `${count(accounts.waiting)} purchases wait, stock and lines included; ${bytes(accounts.kept_bytes)} kept of records that opened nothing`),
    ];
  });
}

export function drawDead(place, sample) {
  const rejected = Object.entries(sample.transitions.total).filter(([key]) => key.includes(" "));
  const confirms = [sample.rejected_confirms, sample.unconcerned].flatMap(({ total }) => Object.entries(total));
  const top = [...rejected.map(([key, n]) => [key.split(" ")[1], n]), ...confirms]
    .reduce((all, [reason, n]) => ({ ...all, [reason]: (all[reason] ?? 0) + n }), {});
  const reasons = Object.entries(top).sort((a, b) => b[1] - a[1]).slice(0, 7);
  const dead = Object.entries(sample.dead_letters.total).sort((a, b) => b[1] - a[1]).slice(0, 5);
  fill(place, JSON.stringify([reasons, dead]), () => {
    const most = Math.max(1, ...reasons.map(([, n]) => n));
    return [
      reasons.length ? h("ol.bars", {}, reasons.map(([reason, n]) => h("li", { title: why(reason) }, h("span.name", {}, reason),
        h("span.bar", { vars: { "--share": String(n / most) }, "aria-hidden": "true" }), h("span.number", {}, count(n)))))
        : h("p.empty", {}, "Nothing was refused yet."),
      dead.length ? table(["Dead letters of", "Count"], dead.map(([key, n]) => [key.replace(" ", ": "), count(n)]))
        : h("p.note", {}, "No dead letters: everything that came was understood."),
    ];
  });
}

export function drawFunnel(place, { offers }) {
  const all = (Array.isArray(offers) ? offers : []).filter((offer) => offer.kind === "purchase");
  const signature = JSON.stringify(all.map(({ merchant, item, buy_tag, price, quantity, held, sold, waiting, funnel }) =>
    [merchant, item, buy_tag, price, quantity, held, sold, waiting, funnel]));
  fill(place, signature, () => {
    const share = (part, whole) => h("span.share", { vars: { "--share": String(whole ? Math.min(1, part / whole) : 0) } },
      whole ? `${Math.round((100 * part) / whole)} %` : "–");
    // The quantity may be lowered below what is held and sold already: then nothing is left.
    const part = (units, all) => String(units >= all ? 1 : units / all);
    const stock = ({ quantity, held, sold }) => (quantity === null ? `${count(sold)} sold`
      : [h("span.stock", { vars: { "--sold": part(sold, quantity), "--held": part(sold + held, quantity) }, "aria-hidden": "true" }),
        `${count(Math.max(0, quantity - sold - held))} of ${count(quantity)}`]);
    const row = (name, funnels, amount, p50, left) => {
      const sum = (key) => funnels.reduce((total, funnel) => total + funnel[key], 0);
      return [name, count(sum("mentions")), count(sum("buys")), count(sum("prompts")), count(sum("confirms")), count(sum("authorized")),
        share(sum("authorized"), sum("buys")), count(sum("expired")), count(sum("cancelled")), amount, p50, left];
    };
    const merchants = Object.entries(Object.groupBy(all, (offer) => offer.merchant));
    // What is sold in different currencies adds up to no one sum.
    const total = (same) => money({ ...same[0].funnel.revenue, minor: same.reduce((all, offer) => all + offer.funnel.revenue.minor, 0) }, same[0].exponent);
    const revenue = (group) => Object.values(Object.groupBy(group, (offer) => offer.funnel.revenue.currency)).map(total).join(" + ");
    const rows = merchants.flatMap(([merchant, group]) => [
      ...(group.length > 1 ? [row(h("b", {}, merchant), group.map((offer) => offer.funnel), revenue(group), "", "")] : []),
      ...group.map((offer) => row(h("span.of", {}, offer.item, h("small", {}, group.length > 1 ? `#${offer.buy_tag}` : `${merchant} · #${offer.buy_tag}`)), [offer.funnel],
        money(offer.funnel.revenue, offer.exponent), offer.funnel.confirm_ms_p50 === null ? "–" : span(offer.funnel.confirm_ms_p50), h("span.left", {}, stock(offer), offer.waiting ? ` · ${offer.waiting} in line` : ""))),
    ]);
    if (!rows.length) return h("p.empty", {}, "No offer is in this process.");
    return table(["Offer", "Mentions", "Buys", "Prompts", "Confirms", "Paid", "Buy → paid", "Expired", "Cancelled", "Revenue", "To confirm", "Left"], rows, "What became of conversations, by offer and merchant");
  });
}
