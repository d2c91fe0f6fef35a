import { useState } from "react";
import type { AuditVerification } from "../../../../src/contract/audit.ts";
import { post } from "../../api/client.ts";
import { useAction } from "../../api/use-action.ts";
import { StateBadge } from "../../components/badge.tsx";
import { Button } from "../../components/button.tsx";
import { ErrorBox } from "../../components/feedback.tsx";
import { Card } from "../../components/page.tsx";
import { formatCount, formatTime } from "../../format.ts";

/** Checks that each entry follows on the one before it. It reads the whole log, and is done when it is asked for. */
export function VerifyCard() {
  const { isBusy, error, run } = useAction({ showsError: true });
  const [found, setFound] = useState<AuditVerification & { at: string }>();
  const verify = () =>
    run(async () => setFound({ ...(await post<AuditVerification>("/v1/audit/verify")), at: new Date().toISOString() }));
  return (
    <Card
      title="Verification"
      actions={
        <Button icon="check" isBusy={isBusy} onClick={verify}>
          Verify
        </Button>
      }
    >
      <div role="status" className="stack-s">
        {found === undefined && error === undefined && (
          <p className="muted">Not verified by this page yet. It reads the whole log.</p>
        )}
        {error !== undefined && <ErrorBox error={error} />}
        {found !== undefined && (
          <p className="row">
            <StateBadge state={found.ok ? "whole" : "broken"} tone={found.ok ? "good" : "bad"} />
            <span>
              {found.entries === 1 ? "1 entry is" : `${formatCount(found.entries)} entries are`} as written
              {found.removed !== undefined && `, after ${formatCount(found.removed)} that were removed as configured`}
            </span>
            <span className="muted">at {formatTime(found.at)}</span>
          </p>
        )}
        {found?.firstBad !== undefined && (
          <p>
            The chain ends at line {found.firstBad.line} of <code>{found.firstBad.file}</code>: {found.firstBad.why}
          </p>
        )}
      </div>
    </Card>
  );
}
