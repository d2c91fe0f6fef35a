import { type KeyboardEvent, type ReactNode, useEffect, useId, useState } from "react";

export interface Tab {
  id: string;
  label: string;
  content: () => ReactNode;
  /** Once it has been looked at, its content stays in the page, hidden while another tab is looked at: a terminal goes on. */
  isKept?: boolean;
}

interface TabsProps {
  label: string;
  tabs: readonly Tab[];
  selected: string;
  onSelect: (id: string) => void;
}

/** Tabs as WAI-ARIA has them: arrow keys go from one to the next. */
export function Tabs({ label, tabs, selected, onSelect }: TabsProps) {
  const prefix = useId();
  const index = Math.max(
    0,
    tabs.findIndex(({ id }) => id === selected),
  );
  const current = tabs[index];
  const [seen, setSeen] = useState<readonly string[]>([]);
  const currentId = current?.id;
  useEffect(() => {
    if (currentId === undefined) return;
    setSeen((ids) => (ids.includes(currentId) ? ids : [...ids, currentId]));
    // On a phone there is no room for all of them.
    document.getElementById(`${prefix}-${currentId}`)?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [currentId, prefix]);
  const shown = tabs.filter(({ id, isKept }) => id === currentId || (isKept && seen.includes(id)));
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = step === undefined ? undefined : tabs[(index + step + tabs.length) % tabs.length];
    if (next === undefined) return;
    event.preventDefault();
    onSelect(next.id);
    document.getElementById(`${prefix}-${next.id}`)?.focus();
  };
  return (
    <div className="tabs">
      <div className="tab-list" role="tablist" aria-label={label} onKeyDown={onKey}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${prefix}-${tab.id}`}
            aria-selected={tab.id === currentId}
            aria-controls={tab.id === currentId ? `${prefix}-${tab.id}-panel` : undefined}
            tabIndex={tab.id === currentId ? 0 : -1}
            onClick={() => onSelect(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      {shown.map(({ id, content }) => (
        <div
          key={id}
          className="tab-panel"
          role="tabpanel"
          id={`${prefix}-${id}-panel`}
          aria-labelledby={`${prefix}-${id}`}
          hidden={id !== currentId}
        >
          {content()}
        </div>
      ))}
    </div>
  );
}
