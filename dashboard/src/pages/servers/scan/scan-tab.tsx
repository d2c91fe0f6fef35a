import type { Server, ServerScan } from "../../../../../src/contract/server.ts";
import { requestLines } from "../../../api/client.ts";
import { useAction } from "../../../api/use-action.ts";
import { StateBadge, type Tone } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../../components/feedback.tsx";
import { Card } from "../../../components/page.tsx";
import { showLine } from "../../../text.ts";
import { isPrepared, serverPath } from "../api.ts";
import { FindingList } from "./finding-list.tsx";
import { PendingItem } from "./pending-item.tsx";
import { useScan } from "./use-scan.ts";

const VERDICT_TONES: Record<ServerScan["verdict"], Tone> = { ok: "good", warning: "warn", danger: "bad" };
type Pending = ServerScan["pending"][number];

/** What has been found in what a server offers, and what of it waits for somebody to look at it. */
export function ScanTab({ server, onChange }: { server: Server; onChange: () => Promise<void> }) {
  const { scan, error, refresh } = useScan(server.name, isPrepared(server), String(server.waiting));
  const { isBusy, error: refusal, run } = useAction({ showsError: true });
  const approve = async (only?: Pending[]) => {
    const body = only === undefined ? {} : { only: only.map(({ kind, name }) => ({ kind, name })) };
    const work = () => requestLines("POST", serverPath(server.name, "/approve"), { body });
    if (await run(work, "It is offered now")) await Promise.all([refresh(), onChange()]);
  };
  if (!isPrepared(server)) {
    return (
      <Empty icon="search" title="Nothing to look at yet">
        Start it: it then tells what it offers.
      </Empty>
    );
  }
  if (scan === undefined)
    return error === undefined ? <Loading label="Looking at it" /> : <ErrorBox error={error} onRetry={refresh} />;
  const { pending, findings, removed, refused } = scan;
  return (
    <div className="stack">
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {refusal !== undefined && <ErrorBox error={refusal} />}
      <Card
        title={pending.length === 0 ? "Nothing waits for an approval" : `Waiting for an approval (${pending.length})`}
        actions={
          pending.length > 1 && (
            <Button isBusy={isBusy} onClick={() => approve()}>
              Approve all
            </Button>
          )
        }
      >
        {pending.length === 0 ? (
          <p className="muted">What it offers is what has been approved.</p>
        ) : (
          <div className="stack">
            {pending.map((one) => (
              <PendingItem
                key={`${one.kind} ${one.name}`}
                pending={one}
                isBusy={isBusy}
                onApprove={() => approve([one])}
              />
            ))}
          </div>
        )}
      </Card>
      <Card
        title="Findings"
        actions={<StateBadge state={scan.verdict} tone={VERDICT_TONES[scan.verdict]} />}
        isFlush={findings.length > 0}
      >
        {findings.length === 0 ? <p className="muted">None.</p> : <FindingList findings={findings} />}
      </Card>
      {(removed.length > 0 || refused.length > 0) && (
        <Card title="Not offered">
          <ul className="plain-list">
            {removed.map(({ kind, name }) => (
              <li key={`${kind} ${name}`}>
                <code>{showLine(name)}</code> was approved, and is not offered any more
              </li>
            ))}
            {refused.map(({ kind, name, why }) => (
              <li key={`${kind} ${name}`}>
                <code>{showLine(name)}</code> is refused: {showLine(why)}
              </li>
            ))}
          </ul>
        </Card>
      )}
    </div>
  );
}
