import { useEffect, useState } from "react";

export type Theme = "dark" | "light";
/** The name that public/theme.js reads, too. */
const STORED_AS = "firebreak-theme";

/** The theme, and what changes it; what is chosen is kept in this browser. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(document.documentElement.dataset.theme === "light" ? "light" : "dark");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  const toggle = () => {
    const next = theme === "dark" ? "light" : "dark";
    localStorage.setItem(STORED_AS, next);
    setTheme(next);
  };
  return [theme, toggle];
}
