import { memo } from "react";
import type { TaskEvent } from "../../../../../src/contract/task-event.ts";
import { CUT_LENGTH } from "./block-row.tsx";
import { Marked } from "./marked.tsx";

interface RawRowProps {
  event: TaskEvent;
  query: string;
  isCurrent: boolean;
  isWhole: boolean;
  onShowAll: (seq: number) => void;
}

/** One event as it is in the log. */
export const RawRow = memo(function RawRow({ event, query, isCurrent, isWhole, onShowAll }: RawRowProps) {
  const text = JSON.stringify(event);
  const isCut = !isWhole && text.length > CUT_LENGTH;
  return (
    <div className={isCurrent ? "raw block-current" : "raw"}>
      <span className="raw-seq">{event.seq}</span>
      <span className="raw-text">
        <Marked text={isCut ? text.slice(0, CUT_LENGTH) : text} query={query} />
        {isCut && (
          <button type="button" className="show-all" onClick={() => onShowAll(event.seq)}>
            Show all {text.length.toLocaleString("en-US")} characters
          </button>
        )}
      </span>
    </div>
  );
});
