// Light and dark: as the system asks, until the reader chooses.

import { $ } from "./words.js";

export function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const usual = () => localStorage.getItem("theme") || (system.matches ? "dark" : "light");
  const paint = (theme) => {
    document.documentElement.dataset.theme = theme;
    $("#theme").setAttribute("aria-pressed", String(theme === "dark"));
  };
  paint(usual());
  system.addEventListener("change", () => paint(usual()));
  $("#theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme);
    paint(theme);
  });
}
