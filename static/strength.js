// [data-strength="field id"] tells how good the password in that field is while it is typed. Nothing leaves the page: it
// is a guess from length and variety; whether it is on a list of common ones the server says when the form is sent.
(function () {
  "use strict";
  const BITS = [35, 50, 65]; // from here on fair, good, strong

  function isStep(one, other) {
    return Math.abs(other.codePointAt(0) - one.codePointAt(0)) <= 1;
  }

  // How many characters cannot be told from those before them: runs such as aaaa or 4567 count once.
  function surprising(letters) {
    return letters.filter(function (letter, at) {
      return at === 0 || !isStep(letters[at - 1], letter);
    }).length;
  }

  // The length without what is only said again: "lamp lamp lamp" is hardly more than "lamp".
  function unrepeated(text) {
    for (let size = 1; size <= text.length / 2; size += 1) {
      if (text.slice(0, size).repeat(Math.ceil(text.length / size)).slice(0, text.length) === text) return size;
    }
    return text.length;
  }

  function bitsOf(text) {
    const letters = Array.from(text);
    const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/, /[^\x00-\x7f]/];
    const sizes = [26, 26, 10, 33, 100];
    const pool = kinds.reduce(function (sum, kind, at) {
      return sum + (kind.test(text) ? sizes[at] : 0);
    }, 0);
    const counted = Math.min(surprising(letters), unrepeated(text), new Set(letters).size * 2);
    // Letters of words are not drawn at random: each tells about half as much.
    return counted * Math.log2(Math.max(pool, 2)) * 0.6;
  }

  function gradeOf(text, least, names) {
    const typed = text.normalize("NFKC");
    if (Array.from(typed).length < least) return 0;
    const low = typed.toLowerCase();
    if (names.some(function (name) { return name.length >= 3 && low.includes(name); })) return 1;
    return 1 + BITS.filter(function (bits) { return bitsOf(typed) >= bits; }).length;
  }

  document.querySelectorAll("[data-strength]").forEach(function (shown) {
    const field = document.getElementById(shown.dataset.strength);
    if (!field) return;
    const bar = shown.querySelector("progress");
    const said = shown.querySelector("[data-said]");
    const grades = JSON.parse(shown.dataset.grades);
    const least = Number(shown.dataset.least);

    function names() {
      const typed = ["username", "email"].map(function (name) {
        const control = field.form.elements.namedItem(name);
        return control ? control.value : "";
      });
      return typed.concat(shown.dataset.name || "").map(function (name) {
        return name.normalize("NFKC").toLowerCase().split("@")[0].trim();
      });
    }

    function tell() {
      shown.hidden = field.value === "";
      if (shown.hidden) return;
      const grade = gradeOf(field.value, least, names());
      bar.value = grade;
      bar.className = grade < 2 ? "full" : "";
      if (said.textContent !== grades[grade]) said.textContent = grades[grade];
    }

    field.addEventListener("input", tell);
    tell();
  });
})();
