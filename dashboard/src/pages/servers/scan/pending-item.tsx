import { useState } from "react";
import type { ServerScan } from "../../../../../src/contract/server.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { showLine } from "../../../text.ts";

/** More lines are drawn when somebody asks for them. */
const FIRST_LINES = 200;
const MAX_LINES = 5_000;
/** One line of a server's may be a megabyte. */
const MAX_LINE = 4_000;

interface PendingItemProps {
  pending: ServerScan["pending"][number];
  isBusy: boolean;
  onApprove: () => void;
}

/** A definition that is new or has changed, with what of it. */
export function PendingItem({ pending, isBusy, onApprove }: PendingItemProps) {
  const { kind, name, what, diff } = pending;
  const [limit, setLimit] = useState(FIRST_LINES);
  const shown = showLine(name).slice(0, 200);
  return (
    <article className="pending" aria-label={`${kind} ${shown}`}>
      <div className="tool-head">
        <h3 className="mono tool-name">{shown}</h3>
        <StateBadge state={`${what} ${kind}`} tone={what === "changed" ? "warn" : "info"} />
        <Button icon="check" isBusy={isBusy} aria-label={`Approve ${shown}`} onClick={onApprove}>
          Approve
        </Button>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a <fieldset> is for fields */}
      <pre
        className="diff"
        role="group"
        aria-label={`What is ${what} in ${shown}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be reached by keyboard
        tabIndex={0}
      >
        {diff.slice(0, limit).map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name
          <DiffLine key={index} line={line} />
        ))}
      </pre>
      {diff.length > limit && limit < MAX_LINES && (
        <Button onClick={() => setLimit(MAX_LINES)}>Show all ({diff.length} lines)</Button>
      )}
      {diff.length > MAX_LINES && limit === MAX_LINES && (
        <p className="muted">{diff.length - MAX_LINES} more lines are not shown.</p>
      )}
    </article>
  );
}

/** Its sign stands in the text, too: colour alone says nothing to some. */
function DiffLine({ line }: { line: string }) {
  const tone = line.startsWith("+ ") ? "diff-added" : line.startsWith("- ") ? "diff-removed" : "diff-same";
  const text = showLine(line);
  return <span className={tone}>{`${text.slice(0, MAX_LINE)}${text.length > MAX_LINE ? "…" : ""}\n`}</span>;
}
