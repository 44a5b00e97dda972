// form[data-passkey="add|use"] asks the browser for a passkey when it is sent, and sends what comes back in its hidden
// field. With data-passkey-autofill the browser offers passkeys in the name field too, without a click.
(function () {
  "use strict";
  const webauthn = window.SimpleWebAuthnBrowser;
  // A challenge is good for five minutes.
  const FRESH_MS = 240000;
  let quiet = null;
  // A form is on its way: whatever is asked now could be answered after it, and put back the cookie of before.
  let leaving = false;

  // Options of the form's own address; null when the server has something to say instead, in the answer to the form.
  async function optionsOf(form, signal) {
    const token = form.elements.csrf_token.value;
    const request = { method: "POST", headers: { "X-CSRFToken": token }, redirect: "manual", signal: signal };
    const response = await fetch(form.dataset.options, request);
    return response.ok ? response.json() : null;
  }

  function wordsFor(form, error) {
    const words = form.dataset;
    if (error.name === "InvalidStateError") return words.known || words.failed;
    if (error.name === "NotAllowedError" || error.name === "AbortError") return words.cancelled;
    if (error.name === "SecurityError") return words.insecure;
    return words.failed;
  }

  function say(form, words) {
    const place = form.querySelector("[data-said]");
    place.querySelector("span").textContent = words;
    place.hidden = !words;
  }

  function send(form, credential) {
    form.elements.credential.value = credential ? JSON.stringify(credential) : "";
    form.submit();
  }

  async function run(form) {
    if (!webauthn.browserSupportsWebAuthn()) {
      say(form, form.dataset.unsupported);
      return;
    }
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    say(form, "");
    try {
      const options = await optionsOf(form);
      if (!options) {
        send(form, null);
        return;
      }
      const start = form.dataset.passkey === "add" ? webauthn.startRegistration : webauthn.startAuthentication;
      send(form, await start({ optionsJSON: options }));
    } catch (error) {
      say(form, wordsFor(form, error));
      button.disabled = false;
      offer();
    }
  }

  // Offers passkeys in the name field, with a challenge that is renewed before it is over.
  async function offer() {
    const form = document.querySelector("form[data-passkey-autofill]");
    if (!form || document.hidden || !(await webauthn.browserSupportsWebAuthnAutofill()) || leaving) return;
    hush();
    const mine = new AbortController();
    quiet = mine;
    const renewal = window.setTimeout(offer, FRESH_MS);
    mine.signal.addEventListener("abort", function () {
      window.clearTimeout(renewal);
    });
    try {
      const options = await optionsOf(form, mine.signal);
      if (!options || mine.signal.aborted) return;
      const credential = await webauthn.startAuthentication({ optionsJSON: options, useBrowserAutofill: true });
      if (!mine.signal.aborted) send(form, credential);
    } catch {
      // Nothing was chosen, or something else was asked meanwhile: the page is as usable as before.
    }
  }

  // No answer may come late and put back the cookie of before a form was sent.
  function hush() {
    if (quiet) quiet.abort();
    quiet = null;
  }

  document.addEventListener("submit", function (event) {
    hush();
    const form = event.target;
    if (!form.dataset.passkey) {
      leaving = true;
      return;
    }
    event.preventDefault();
    run(form);
  });
  document.addEventListener("visibilitychange", offer);
  window.addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    leaving = false;
    document.querySelectorAll("form[data-passkey] button[type=submit]").forEach(function (button) {
      button.disabled = false;
    });
    offer();
  });
  offer();
})();
