// Plots of the last five minutes, by uPlot. It is loaded when they are first looked at.

import { h, rate, span, toast } from "./dom.js";

const SHOWN_MS = 300_000;

const COLOURS = ["--one", "--two", "--three", "--four"];
const STAGES = ["screen", "accounts", "offers"];

/** What is drawn: a title, how values read, the series, and where a point holds them. */
const PLOTS = [
  { title: "Records per second", text: rate, least: 10, series: STAGES, pick: (point) => point.records_per_second },
  { title: "Behind", text: span, least: 1000, series: STAGES, pick: (point) => point.lag_ms },
  { title: "Transactions, 99th percentile", text: span, least: 10, series: STAGES, pick: (point) => point.transaction_ms },
  { title: "Verdicts per second", text: rate, least: 1, series: ["prompted", "paid", "expired", "refused"], pick: (point) => point.verdicts_per_second },
];

export class Plots {
  constructor(place) {
    this.place = place;
    this.points = [];
    this.made = [];
  }

  past(points) {
    this.points = recent(points);
    this.draw();
  }

  add(sample) {
    const of = (pick) => STAGES.map((name) => pick(sample.stages.find((stage) => stage.name === name)));
    const verdicts = (state) => Object.entries(sample.transitions.per_second)
      .reduce((all, [key, n]) => all + (key.split(" ")[0] === state ? n : 0), 0);
    const confirms = Object.values(sample.rejected_confirms.per_second).reduce((all, n) => all + n, 0);
    // A page that begins is told the newest sample by the past, too.
    const before = this.points.filter((point) => point.wall < sample.wall);
    this.points = recent([...before, {
      wall: sample.wall,
      records_per_second: of((stage) => stage.records_per_second),
      lag_ms: of((stage) => stage.lag_ms),
      transaction_ms: of((stage) => stage.transaction_ms_p99),
      verdicts_per_second: [...["prompted", "authorized", "expired"].map(verdicts), verdicts("rejected") + confirms],
    }]);
  }

  async begin() {
    try {
      await (this.loading ??= load());
    } catch {
      // Tried again when they are looked at next.
      this.loading = undefined;
      return toast("The plots could not be loaded.");
    }
    if (!this.made.length) this.made = PLOTS.map((plot) => this.make(plot));
    this.draw();
  }

  recolour() {
    if (!this.made.length) return;
    this.made.forEach(({ plot }) => plot.destroy());
    this.place.replaceChildren();
    this.made = PLOTS.map((plot) => this.make(plot));
    this.draw();
  }

  draw() {
    // Seconds before the newest, by the server's clock: while nobody looks points are further apart.
    const xs = this.points.map((point) => (point.wall - this.points.at(-1).wall) / 1000);
    for (const { plot, panel, pick, series, text } of this.made) {
      const values = series.map((_, which) => this.points.map((point) => pick(point)[which]));
      plot.setData([xs, ...values]);
      series.forEach((_, which) => {
        const last = values[which].at(-1);
        panel.querySelector(`[data-series="${which}"]`).textContent = last === null || last === undefined ? "–" : text(last);
      });
    }
  }

  make({ title, text, least, series, pick }) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const legend = h("ul.legend", {}, series.map((name, at) => h("li", {}, h(`span.swatch.c${at}`, { "aria-hidden": "true" }), name, " ", h("b", { "data-series": String(at) }))));
    const canvas = h("div.canvas", { "aria-hidden": "true" });
    const panel = h("section.panel.plot", { "aria-label": title }, h("h2", {}, title), legend, canvas);
    this.place.append(panel);
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const ago = (s) => (s === 0 ? "now" : `${s / 60 === Math.round(s / 60) ? `${s / 60} min` : `${s} s`}`);
    const plot = new uPlot({
      width: canvas.clientWidth, height: 150,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: false, range: (_, min) => [Math.min(min, -60), 0] }, y: { range: (_, min, max) => [0, Math.max((max ?? 0) * 1.15, least)] } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map(ago), incrs: [10, 30, 60, 120], space: 60, size: 26 }, { ...axis, size: 58, values: (_, ticks) => ticks.map(text) }],
      series: [{}, ...series.map((name, at) => ({ label: name, stroke: colour(COLOURS[at]), width: 2, spanGaps: true, points: { show: false } }))],
    }, [[0], ...series.map(() => [null])], canvas);
    new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: 150 })).observe(canvas);
    return { plot, panel, pick, series, text };
  }
}

function recent(points) {
  return points.filter((point) => point.wall > points.at(-1).wall - SHOWN_MS);
}

function load() {
  const sheet = h("link", { rel: "stylesheet", href: "/assets/vendor/uPlot.min.css" });
  return new Promise((done, failed) => {
    const script = h("script", { src: "/assets/vendor/uPlot.iife.min.js", onload: done, onerror: () => {
      sheet.remove();
      script.remove();
      failed();
    } });
    document.head.append(sheet, script);
  });
}
