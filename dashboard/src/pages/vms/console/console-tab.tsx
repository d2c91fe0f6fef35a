import { useDeferredValue, useMemo } from "react";
import type { Vm } from "../../../../../src/contract/vm.ts";
import { StateBadge } from "../../../components/badge.tsx";
import { Empty, ErrorBox } from "../../../components/feedback.tsx";
import { Icon } from "../../../components/icon.tsx";
import { Output } from "../../../components/output.tsx";
import { Card } from "../../../components/page.tsx";
import { formatBytes } from "../../../format.ts";
import { KEPT_CHARACTERS, plainOutput } from "../../../terminal-text.ts";
import { vmPath } from "../api.ts";
import { useConsole } from "./use-console.ts";

/** What the kernel and whatever writes to the console has said. */
export function ConsoleTab({ vm }: { vm: Vm }) {
  const { raw, skippedBytes, isLive, error } = useConsole(vm);
  const deferred = useDeferredValue(raw);
  const text = useMemo(() => plainOutput(deferred), [deferred]);
  return (
    <Card
      title="Console"
      actions={
        <span className="row">
          {isLive && vm.state === "running" && <StateBadge state="live" tone="live" />}
          <a className="button" href={vmPath(vm.id, "/logs")} download={`${vm.name}-console.txt`}>
            <Icon name="download" /> Download
          </a>
        </span>
      }
      isFlush
    >
      {error !== undefined && <ErrorBox error={error} />}
      {text === "" && error === undefined ? (
        <Empty icon="terminal" title="The console has said nothing">
          A VM that is forked from a template does not boot, and mostly stays silent.
        </Empty>
      ) : (
        <Output text={text} label={`Console of ${vm.name}`} />
      )}
      {(skippedBytes > 0 || raw.length >= KEPT_CHARACTERS) && (
        <p className="card-note">
          {skippedBytes > 0 && `${formatBytes(skippedBytes)} came faster than this page could take them. `}
          The newest end is shown; the download has more.
        </p>
      )}
    </Card>
  );
}
