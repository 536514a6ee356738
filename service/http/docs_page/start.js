"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  defaultModelRendering: "model",
  validatorUrl: null, // else it would ask a host of its makers
});
