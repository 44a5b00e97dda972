// The tick box in a table's head ticks every row; [data-selected] in the same form or panel shows how many are ticked.
(function () {
  "use strict";
  function boxesOf(table) {
    return Array.from(table.querySelectorAll("tbody td.pick input[type=checkbox]"));
  }
  function tell(table) {
    const boxes = boxesOf(table);
    const ticked = boxes.filter(function (box) {
      return box.checked;
    }).length;
    const all = table.querySelector("[data-select-all]");
    if (all) {
      all.checked = boxes.length > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    const place = table.closest("form, .panel") || document;
    place.querySelectorAll("[data-selected]").forEach(function (count) {
      count.textContent = ticked;
    });
  }
  document.addEventListener("change", function (event) {
    const table = event.target.closest("table");
    if (!table || event.target.type !== "checkbox") return;
    if (event.target.matches("[data-select-all]")) {
      boxesOf(table).forEach(function (box) {
        box.checked = event.target.checked;
      });
    }
    tell(table);
  });
})();
