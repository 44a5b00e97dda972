// Menus are <details class="menu">, which open without a script. This closes them on Escape, on a click outside, and when focus
// leaves; and sends the theme form back to where the reader is now, since htmx may have changed the address after the page came.
(function () {
  "use strict";
  function closeAll(except) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (menu !== except) menu.open = false;
    });
  }
  document.addEventListener("click", function (event) {
    closeAll(event.target.closest("details.menu"));
  });
  document.addEventListener("focusin", function (event) {
    closeAll(event.target.closest("details.menu"));
  });
  document.addEventListener("submit", function (event) {
    const next = event.target.querySelector("input[name=next][data-here]");
    if (next) next.value = window.location.pathname + window.location.search;
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    const open = event.target.closest("details.menu[open]");
    closeAll(null);
    if (open) open.querySelector("summary").focus();
  });
})();
