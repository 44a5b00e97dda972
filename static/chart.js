// Draws each [data-series="URL"] with uPlot in the page's own colours, and again when the theme changes.
// The URL answers {"x": [unix seconds], "series": [{"label": "…", "values": [1, null, 2]}]}. uPlot is fetched only where a chart stands.
(function () {
  "use strict";
  const here = document.currentScript.dataset;
  const root = document.documentElement;
  const drawn = new Map();
  let engine = null;

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function fetchEngine() {
    engine ??= new Promise(function (resolve, reject) {
      const sheet = document.createElement("link");
      sheet.rel = "stylesheet";
      sheet.href = here.sheet;
      const script = document.createElement("script");
      script.src = here.engine;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(sheet, script);
    });
    return engine;
  }

  function shapeOf(style, place) {
    if (style === "bars" && place === 0) return uPlot.paths.bars({ size: [0.6, 28], radius: 0.25 });
    return uPlot.paths.spline();
  }

  function lineOf(series, place, style) {
    const bars = style === "bars" && place === 0;
    return {
      label: series.label,
      stroke: colour("--chart-" + (place + 1)),
      fill: place === 0 ? colour(bars ? "--chart-1-bar" : "--chart-1-fill") : undefined,
      width: bars ? 0 : 2,
      paths: shapeOf(style, place),
      points: { show: false },
    };
  }

  function optionsOf(element, data) {
    const font = "12px Inter, system-ui";
    const quiet = { stroke: colour("--chart-axis"), ticks: { show: false }, font: font };
    const language = root.lang || undefined;
    // Points a month apart are months: the first day of each would say nothing.
    const monthly = data.x.length > 1 && data.x[1] - data.x[0] > 27 * 86400;
    const parts = monthly ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" };
    const short = new Intl.DateTimeFormat(language, Object.assign({ timeZone: "UTC" }, parts));
    const hour = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
    const numbers = new Intl.NumberFormat(language);
    return {
      width: element.clientWidth,
      height: Number(element.dataset.height) || 220,
      padding: [12, 18, 0, 0],
      legend: { show: false },
      cursor: { points: { size: 7 }, drag: { x: false, y: false } },
      // Days are drawn as UTC days: the server has already put each day where it belongs.
      tzDate: function (seconds) {
        return uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
      },
      scales: {
        x: {
          range: function (plot, low, high) {
            // Half a bar more on both sides, or the first and the last would be cut.
            const half = element.dataset.style === "bars" && data.x.length > 1 ? (data.x[1] - data.x[0]) / 2 : 0;
            return [low - half, high + half];
          },
        },
        y: {
          range: function (plot, low, high) {
            return [0, Math.max(4, (high || 0) * 1.12)];
          },
        },
      },
      series: [{}].concat(
        data.series.map(function (series, place) {
          return lineOf(series, place, element.dataset.style);
        }),
      ),
      axes: [
        Object.assign({}, quiet, {
          grid: { show: false },
          size: 28,
          space: 64,
          values: function (plot, marks, axis, space, step) {
            return marks.map(function (mark) {
              return (step < 86400 ? hour : short).format(new Date(mark * 1000));
            });
          },
        }),
        Object.assign({}, quiet, {
          grid: { stroke: colour("--chart-grid"), width: 1 },
          incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1e3, 2e3, 2500, 5e3, 1e4, 2e4, 25e3, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8],
          size: 48,
          values: function (plot, marks) {
            return marks.map(function (mark) {
              return numbers.format(mark);
            });
          },
        }),
      ],
      hooks: {
        setCursor: [
          function (plot) {
            tellValues(element, data, plot.cursor.idx, short, numbers);
          },
        ],
      },
    };
  }

  function tellValues(element, data, at, dates, numbers) {
    const legend = element.parentElement.querySelector("[data-legend]");
    if (!legend) return;
    legend.replaceChildren();
    if (at !== null && at !== undefined) {
      const day = document.createElement("b");
      day.textContent = dates.format(new Date(data.x[at] * 1000));
      legend.append(day);
    }
    data.series.forEach(function (series, place) {
      const entry = document.createElement("span");
      const dot = document.createElement("i");
      dot.className = "dot series-" + (place + 1);
      const value = at === null || at === undefined ? "" : " " + numbers.format(series.values[at] ?? 0);
      entry.append(dot, series.label + value);
      legend.append(entry);
    });
  }

  async function draw(element) {
    try {
      const answer = await fetch(element.dataset.series, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const data = await answer.json();
      await fetchEngine();
      paint(element, data);
      const observer = new ResizeObserver(function () {
        const plot = drawn.get(element)?.plot;
        if (plot && element.clientWidth) plot.setSize({ width: element.clientWidth, height: plot.height });
      });
      observer.observe(element);
    } catch {
      // The table twin holds the same figures: without a drawing it is opened instead.
      element.hidden = true;
      const twin = element.parentElement.querySelector("details.twin");
      if (twin) twin.open = true;
    }
  }

  function paint(element, data) {
    drawn.get(element)?.plot.destroy();
    const values = data.series.map(function (series) {
      return series.values;
    });
    const plot = new uPlot(optionsOf(element, data), [data.x].concat(values), element);
    drawn.set(element, { plot: plot, data: data });
    tellValues(element, data, null, null, null);
  }

  function drawAll() {
    document.querySelectorAll("[data-series]").forEach(function (element) {
      if (drawn.has(element) || element.dataset.begun) return;
      element.dataset.begun = "yes";
      draw(element);
    });
    drawn.forEach(function (entry, element) {
      if (!element.isConnected) drawn.delete(element);
    });
  }

  new MutationObserver(function () {
    drawn.forEach(function (entry, element) {
      paint(element, entry.data);
    });
  }).observe(root, { attributes: true, attributeFilter: ["data-bs-theme"] });
  document.addEventListener("htmx:after:swap", drawAll);
  drawAll();
})();
