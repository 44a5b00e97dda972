// A search box with [data-suggest] shows the first hits while somebody types. Up and down choose one, Enter opens it, Escape closes
// the list. Without this script the form is sent and its page lists the same.
(function () {
  "use strict";
  const PAUSE_MS = 200;
  const LEAST = 2;
  // Of a whole API key only the start that is shown everywhere leaves the browser.
  const SECRET = /\b(dwc?_[A-Za-z0-9_-]{7})[A-Za-z0-9_-]+/g;

  function make(tag, className, words) {
    const element = document.createElement(tag);
    element.className = className;
    if (words) element.textContent = words;
    return element;
  }

  function wire(place, number) {
    const input = place.querySelector("input[type=search]");
    const list = make("div", "suggestions");
    const id = "suggestions-" + number;
    let waiting = 0;
    let asked = null;
    let chosen = -1;

    list.id = id;
    list.hidden = true;
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", input.getAttribute("aria-label") || "");
    const news = make("div", "visually-hidden");
    news.setAttribute("role", "status");
    place.append(list, news);
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", id);
    input.setAttribute("aria-expanded", "false");

    function options() {
      return Array.from(list.querySelectorAll("[role=option]"));
    }

    function close() {
      window.clearTimeout(waiting);
      if (asked) asked.abort();
      list.hidden = true;
      chosen = -1;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
    }

    function choose(next) {
      const all = options();
      if (!all.length) return;
      chosen = (next + all.length + 1) % (all.length + 1);
      all.forEach(function (option, row) {
        option.setAttribute("aria-selected", String(row === chosen));
      });
      // After the last one comes the box itself: Enter sends what was typed.
      if (chosen === all.length) {
        chosen = -1;
        input.removeAttribute("aria-activedescendant");
        return;
      }
      input.setAttribute("aria-activedescendant", all[chosen].id);
      all[chosen].scrollIntoView({ block: "nearest" });
    }

    function show(hits) {
      chosen = -1;
      list.replaceChildren();
      hits.forEach(function (hit, row) {
        const option = make("a", "drop-item");
        const picture = make("span", "ava " + hit.palette, hit.initials);
        const lines = make("span", "suggestion");
        option.id = id + "-" + row;
        option.href = hit.url;
        option.tabIndex = -1;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        picture.setAttribute("aria-hidden", "true");
        lines.append(make("span", "person-name", hit.name), make("span", "muted sm", hit.detail));
        option.append(picture, lines);
        list.append(option);
      });
      list.hidden = hits.length === 0;
      news.textContent = hits.length ? "" : place.dataset.suggestNone;
      input.setAttribute("aria-expanded", String(hits.length > 0));
      input.removeAttribute("aria-activedescendant");
    }

    async function ask() {
      const typed = input.value.trim().replace(SECRET, "$1");
      if (asked) asked.abort();
      if (typed.length < LEAST) {
        close();
        return;
      }
      const own = new AbortController();
      asked = own;
      try {
        const answer = await fetch(place.dataset.suggest + "?q=" + encodeURIComponent(typed), {
          signal: own.signal,
          headers: { Accept: "application/json" },
          redirect: "error",
        });
        if (!answer.ok) return close();
        const said = await answer.json();
        if (!own.signal.aborted) show(said.hits);
      } catch (error) {
        if (!own.signal.aborted) close();
      }
    }

    input.addEventListener("input", function () {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(ask, PAUSE_MS);
    });
    input.addEventListener("keydown", function (event) {
      if (event.key === "Escape" && !list.hidden) {
        event.preventDefault();
        close();
      } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.hidden) {
        event.preventDefault();
        const last = options().length;
        choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? last - 1 : chosen === 0 ? last : chosen - 1);
      } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
        event.preventDefault();
        options()[chosen].click();
      }
    });
    input.form.addEventListener("submit", function () {
      input.value = input.value.replace(SECRET, "$1");
    });
    place.addEventListener("focusout", function (event) {
      if (!place.contains(event.relatedTarget)) window.setTimeout(close, 150);
    });
  }

  document.querySelectorAll("[data-suggest]").forEach(wire);
})();
