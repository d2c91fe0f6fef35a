import { Chip } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { LongText } from "../../../components/long-text.tsx";
import { formatJson, showHidden, showLine } from "../../../text.ts";
import type { ToolDefinition } from "../mcp/connection.ts";

/** Characters of a description that a list shows. */
const BRIEF = 280;

/** One tool in its server's own words, hidden characters written out. */
export function ToolItem({ tool, onCall }: { tool: ToolDefinition; onCall: () => void }) {
  const { name, description = "", annotations = {}, inputSchema } = tool;
  const shown = showLine(name).slice(0, 200);
  const hints = Object.entries(annotations).filter(([, value]) => value === true);
  return (
    <article className="tool">
      <div className="tool-head">
        <h3 className="mono tool-name">{shown}</h3>
        {hints.slice(0, 8).map(([hint]) => (
          <Chip key={hint} title="the server’s own word">
            {showLine(hint).slice(0, 40)}
          </Chip>
        ))}
        <Button icon="play" aria-label={`Call ${shown}`} onClick={onCall}>
          Call
        </Button>
      </div>
      {description !== "" && (
        <p className="tool-text">
          {showHidden(description.slice(0, BRIEF))}
          {description.length > BRIEF && "…"}
        </p>
      )}
      <details>
        <summary>Definition</summary>
        <div className="stack-s">
          {description.length > BRIEF && <LongText text={description} label={`Description of ${shown}`} />}
          <LongText text={formatJson(inputSchema)} limit={4_000} label={`Input schema of ${shown}`} />
        </div>
      </details>
    </article>
  );
}
