// Before anything is painted: a page must not flash in the other theme. A file of its own, since no inline script is allowed.
(() => {
  const stored = localStorage.getItem("firebreak-theme");
  const isLight = matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme =
    stored === "light" || stored === "dark" ? stored : isLight ? "light" : "dark";
})();
