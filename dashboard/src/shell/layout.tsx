import { type ReactNode, useEffect, useRef } from "react";
import { Link, useLocation } from "wouter";
import { Button } from "../components/button.tsx";
import { Icon } from "../components/icon.tsx";
import { isAt, NAV } from "./nav.ts";
import { useTheme } from "./theme.ts";

/** Navigation beside the page; below it on a phone. */
export function Layout({ user, onLogout, children }: { user: string; onLogout: () => void; children: ReactNode }) {
  const [location] = useLocation();
  const [theme, toggleTheme] = useTheme();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  // A tab of a page is part of its path, and no page of its own: the focus stays on the tab.
  const place = location.split("/").slice(0, 3).join("/");
  // A page that is gone to is read from its beginning, by screen readers too.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path is what it waits for
  useEffect(() => {
    if (!isFirst.current) {
      main.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [place]);
  return (
    <div className="shell">
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <aside className="side">
        <Link href="/" className="brand">
          <img src="/favicon.svg" alt="" width="26" height="26" />
          firebreak
        </Link>
        <nav className="nav" aria-label="Main">
          {NAV.map(({ href, label, icon }) => (
            <Link key={href} href={href} aria-current={isAt(href, location) ? "page" : undefined}>
              <Icon name={icon} size={18} />
              <span>{label}</span>
            </Link>
          ))}
        </nav>
        <div className="side-foot">
          <span className="side-user" title={`Signed in as ${user}`}>
            {user}
          </span>
          <Button
            tone="quiet"
            icon={theme === "dark" ? "sun" : "moon"}
            aria-label={theme === "dark" ? "Light theme" : "Dark theme"}
            onClick={toggleTheme}
          />
          <Button tone="quiet" icon="logout" aria-label="Sign out" onClick={onLogout} />
        </div>
      </aside>
      <main className="main" id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}
