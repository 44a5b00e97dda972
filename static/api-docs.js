// Draws the API's document with Swagger UI in the place of the plain list that the server wrote, and lets it follow the theme.
(function () {
  "use strict";
  const root = document.documentElement;
  function follow() {
    root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");
  }
  follow();
  new MutationObserver(follow).observe(root, { attributes: true, attributeFilter: ["data-bs-theme"] });
  document.addEventListener("DOMContentLoaded", function () {
    const place = document.getElementById("operations");
    window.SwaggerUIBundle({
      url: place.dataset.document,
      domNode: place,
      presets: [window.SwaggerUIBundle.presets.apis],
      layout: "BaseLayout",
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
      persistAuthorization: false,
    });
  });
})();
