import { useState } from "react";
import { formatCount } from "../format.ts";
import { showHidden } from "../text.ts";
import { Button } from "./button.tsx";

/** More than so many characters are never put into a page at once: a browser lays out one text of a megabyte for seconds. */
const MAX_SHOWN = 200_000;

interface LongTextProps {
  text: string;
  /** Characters that are shown until somebody asks for more. */
  limit?: number;
  /** What it is, for those who cannot see where it stands. */
  label: string;
}

/** Text as it is, in lines, its end left out until it is asked for; hidden characters are written out. */
export function LongText({ text, limit = 2_000, label }: LongTextProps) {
  const [isWhole, setWhole] = useState(false);
  const end = isWhole ? MAX_SHOWN : limit;
  return (
    <div className="long-text">
      {/* biome-ignore lint/a11y/useSemanticElements: a <fieldset> is for fields */}
      <pre
        className="text-block"
        role="group"
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be reached by keyboard
        tabIndex={0}
      >
        {showHidden(text.slice(0, end))}
        {text.length > end && "…"}
      </pre>
      {text.length > limit && !isWhole && (
        <Button onClick={() => setWhole(true)}>Show all ({formatCount(text.length)} characters)</Button>
      )}
      {isWhole && text.length > MAX_SHOWN && (
        <p className="muted">{formatCount(text.length - MAX_SHOWN)} more characters are not shown.</p>
      )}
    </div>
  );
}
