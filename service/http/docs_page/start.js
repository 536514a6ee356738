"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
paint();
dark.addEventListener("change", paint);

const common = {
  defaultModelsExpandDepth: -1,
  validatorUrl: null, // else it would ask a host of its makers
};
SwaggerUIBundle({ ...common, url: "openapi.json", dom_id: "#docs", deepLinking: true, defaultModelsExpandDepth: 0 });
SwaggerUIBundle({ ...common, url: "docs/compatible.json", dom_id: "#compatible" });
