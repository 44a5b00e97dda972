// button[data-copy="#id"] puts the text of that element on the clipboard and says so, on the button and to screen readers.
(function () {
  "use strict";
  function select(element) {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }
  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.value || source.textContent);
    } catch {
      // Not a secure address, or refused: leave the text selected for the keyboard.
      select(source);
      return;
    }
    const said = button.dataset.copied || "";
    document.getElementById("announcer").textContent = said;
    button.classList.add("copied");
    window.setTimeout(function () {
      button.classList.remove("copied");
      document.getElementById("announcer").textContent = "";
    }, 2500);
  }
  document.addEventListener("click", function (event) {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
})();
