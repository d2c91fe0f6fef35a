import { useState } from "react";
import type { AuditPage as AuditEntries } from "../../../../src/contract/audit.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Button } from "../../components/button.tsx";
import { Empty, ErrorBox, Loading } from "../../components/feedback.tsx";
import { Icon } from "../../components/icon.tsx";
import { Card, Page } from "../../components/page.tsx";
import { EntryTable } from "./entry-table.tsx";
import { auditPath, exportPath, type Filter, NO_FILTER } from "./filter.ts";
import { FilterBar } from "./filter-bar.tsx";
import { VerifyCard } from "./verify-card.tsx";
import "./audit.css";

const PAGE = 200;
const MAX_PAGE = 10_000;

/** Calls of MCP servers' tools, the newest first, and whether the log is whole. */
export default function AuditPage() {
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  const [limit, setLimit] = useState(PAGE);
  const { data, error, refresh } = usePoll<AuditEntries>(auditPath(filter, limit), 3_000);
  const change = (changes: Partial<Filter>) => {
    // By what it then is: two fields may be typed into at once.
    setFilter((before) => ({ ...before, ...changes }));
    setLimit(PAGE);
  };
  const isFiltered = filter !== NO_FILTER;
  return (
    <Page
      title="Audit"
      about="Each call of an MCP tool, in a log whose entries follow on each other."
      actions={
        <a className="button" href={exportPath(filter, "csv")} download="firebreak-audit.csv">
          <Icon name="download" /> CSV
        </a>
      }
    >
      <VerifyCard />
      <FilterBar filter={filter} onChange={change} />
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      <Card isFlush>
        {data === undefined && error === undefined && <Loading label="Loading the audit log" />}
        {data !== undefined && data.entries.length === 0 && (
          <Empty icon="audit" title={isFiltered ? "No entry is like that" : "No calls yet"} />
        )}
        {data !== undefined && data.entries.length > 0 && <EntryTable entries={data.entries.toReversed()} />}
        {data !== undefined && data.entries.length >= limit && limit < MAX_PAGE && (
          <p className="card-note">
            <Button onClick={() => setLimit(Math.min(MAX_PAGE, 5 * limit))}>Show older ones</Button>
          </p>
        )}
      </Card>
    </Page>
  );
}
