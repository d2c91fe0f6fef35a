import { useState } from "react";
import type { ServerScan } from "../../../../../src/contract/server.ts";
import { StateBadge, type Tone } from "../../../components/badge.tsx";
import { Button } from "../../../components/button.tsx";
import { showLine } from "../../../text.ts";

type Finding = ServerScan["findings"][number];
const TONES: Record<Finding["severity"], Tone> = { info: "info", warning: "warn", danger: "bad" };
const ORDER: readonly Finding["severity"][] = ["danger", "warning", "info"];
const FIRST = 50;
const MAX_TEXT = 1_000;

/** Findings, the gravest first. */
export function FindingList({ findings }: { findings: readonly Finding[] }) {
  const [limit, setLimit] = useState(FIRST);
  const sorted = findings.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  return (
    <>
      <ul className="findings" aria-label="Findings">
        {sorted.slice(0, limit).map((finding, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: findings have no other name
          <li key={index} className="finding">
            <StateBadge state={finding.severity} tone={TONES[finding.severity]} />
            <span className="finding-text">
              <span>{showLine(finding.message).slice(0, MAX_TEXT)}</span>
              <span className="muted">
                <code>{finding.code}</code> in {finding.kind} <code>{showLine(finding.subject).slice(0, 200)}</code>{" "}
                {showLine(finding.where).slice(0, 200)}
              </span>
            </span>
          </li>
        ))}
      </ul>
      {sorted.length > limit && (
        <p className="card-note">
          <Button onClick={() => setLimit(limit + 500)}>Show more ({sorted.length - limit})</Button>
        </p>
      )}
    </>
  );
}
