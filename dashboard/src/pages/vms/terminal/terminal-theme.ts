import type { ITheme } from "@xterm/xterm";

/** The terminal in the page's colours; those of ANSI have enough contrast with its background, which xterm.js sees to. */
export function terminalTheme(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    background: colour("--sunken"),
    foreground: colour("--text"),
    cursor: colour("--accent"),
    cursorAccent: colour("--on-accent"),
    selectionBackground: colour("--accent-soft"),
    red: colour("--bad"),
    green: colour("--good"),
    yellow: colour("--warn"),
    blue: colour("--info"),
    magenta: colour("--purple"),
  };
}
