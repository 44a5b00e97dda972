// select[data-time-zone] and input[data-time-zone] that hold no value yet are offered the browser's own time zone.
(function () {
  "use strict";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;
  document.querySelectorAll("select[data-time-zone], input[data-time-zone]").forEach(function (control) {
    if (control.value) return;
    if (control instanceof HTMLSelectElement) {
      const known = Array.from(control.options).some(function (option) {
        return option.value === zone;
      });
      if (!known) return;
    }
    control.value = zone;
    control.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
