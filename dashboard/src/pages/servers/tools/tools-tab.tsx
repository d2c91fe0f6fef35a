import { useState } from "react";
import type { Server } from "../../../../../src/contract/server.ts";
import { Dialog } from "../../../components/confirm-dialog.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { showLine } from "../../../text.ts";
import { isPrepared } from "../api.ts";
import { CallForm } from "../call/call-form.tsx";
import type { ToolDefinition } from "../mcp/connection.ts";
import { useTools } from "../mcp/use-tools.ts";
import { ToolItem } from "./tool-item.tsx";

/** How many are drawn; a server may say that it has a million. */
const MAX_SHOWN = 500;

/** What a server offers to clients: what waits for an approval is not among it. */
export function ToolsTab({ server }: { server: Server }) {
  const mark = server.tools.map(({ as }) => as).join();
  const { connection, tools, error } = useTools(server.name, isPrepared(server), mark);
  const [text, setText] = useState("");
  const [called, setCalled] = useState<ToolDefinition>();
  if (!isPrepared(server)) {
    return (
      <Empty icon="tool" title="What it offers is not known">
        Start it: it then tells its tools.
      </Empty>
    );
  }
  if (error !== undefined) return <ErrorBox error={error} />;
  if (tools === undefined) return <Loading label="Loading tools" />;
  const isFound = ({ name, description = "" }: ToolDefinition) =>
    `${name}\n${description}`.toLowerCase().includes(text);
  const found = tools.filter(isFound);
  return (
    <div className="stack">
      {tools.length > 5 && (
        <input
          className="input filter-input"
          type="search"
          placeholder="Filter by name or description"
          aria-label="Filter tools"
          onChange={(event) => setText(event.target.value.trim().toLowerCase())}
        />
      )}
      <Card isFlush>
        {found.length === 0 ? (
          <Empty icon="tool" title={tools.length === 0 ? "It offers no tools" : "No tool is like that"} />
        ) : (
          <ul className="tool-list" aria-label="Tools">
            {found.slice(0, MAX_SHOWN).map((tool) => (
              <li key={tool.name}>
                <ToolItem tool={tool} onCall={() => setCalled(tool)} />
              </li>
            ))}
          </ul>
        )}
        {found.length > MAX_SHOWN && <p className="card-note">{found.length - MAX_SHOWN} more are not shown.</p>}
      </Card>
      <Dialog
        title={`Call ${showLine(called?.name ?? "")}`}
        isOpen={called !== undefined}
        onClose={() => setCalled(undefined)}
        isWide
      >
        {called !== undefined && connection !== undefined && (
          <CallForm connection={connection} tool={called} onClose={() => setCalled(undefined)} />
        )}
      </Dialog>
    </div>
  );
}
