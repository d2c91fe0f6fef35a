import { type ReactNode, useEffect } from "react";

interface PageProps {
  title: string;
  /** Beside the title: a state. */
  badge?: ReactNode;
  /** Below it: what the page is about in a few words. */
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page with its one heading. */
export function Page({ title, badge, about, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · firebreak`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div className="page-title">
          <h1>{title}</h1>
          {badge}
        </div>
        {actions !== undefined && <div className="page-actions">{actions}</div>}
        {about !== undefined && <div className="page-about">{about}</div>}
      </header>
      {children}
    </div>
  );
}

interface CardProps {
  title?: string;
  actions?: ReactNode;
  children: ReactNode;
  /** Without room around its content: for tables. */
  isFlush?: boolean;
}

export function Card({ title, actions, children, isFlush = false }: CardProps) {
  return (
    <section className={isFlush ? "card card-flush" : "card"} aria-label={title}>
      {title !== undefined && (
        <header className="card-head">
          <h2>{title}</h2>
          {actions}
        </header>
      )}
      <div className="card-body">{children}</div>
    </section>
  );
}

/** A number that a page is looked at for. */
export function Stat({
  label,
  value,
  note,
  children,
}: {
  label: string;
  value: ReactNode;
  note?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <div className="stat">
      <span className="stat-label">{label}</span>
      <span className="stat-value">{value}</span>
      {note !== undefined && <span className="stat-note">{note}</span>}
      {children}
    </div>
  );
}

/** Facts as pairs; those without a value are left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== undefined && value !== "" && value !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
