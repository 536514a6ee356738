// Light and dark: as the system asks, until the reader chooses.

import * as keep from "./keep.js";
import { $ } from "./words.js";

export function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const usual = () => keep.chosen("theme") || (system.matches ? "dark" : "light");
  const paint = (theme) => {
    document.documentElement.dataset.theme = theme;
    $("#theme").setAttribute("aria-pressed", String(theme === "dark"));
  };
  paint(usual());
  system.addEventListener("change", () => paint(usual()));
  $("#theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    keep.choose("theme", theme);
    paint(theme);
  });
}
