import { useMemo } from "react";
import type { Server } from "../../../../../src/contract/server.ts";
import { Empty, ErrorBox } from "../../../components/feedback.tsx";
import { Icon } from "../../../components/icon.tsx";
import { Output } from "../../../components/output.tsx";
import { Card } from "../../../components/page.tsx";
import { plainOutput } from "../../../terminal-text.ts";
import { serverPath } from "../api.ts";
import { useLog } from "./use-log.ts";

/** What a server has said beside the protocol. */
export function LogTab({ server: { name } }: { server: Server }) {
  const { raw, error } = useLog(serverPath(name, "/log"));
  const text = useMemo(() => plainOutput(raw), [raw]);
  return (
    <Card
      title="Log"
      actions={
        <a className="button" href={serverPath(name, "/log")} download={`${name}.log`}>
          <Icon name="download" /> Download
        </a>
      }
      isFlush
    >
      {error !== undefined && <ErrorBox error={error} />}
      {text === "" ? (
        <Empty icon="text" title="It has said nothing yet" />
      ) : (
        <Output text={text} label={`Log of ${name}`} />
      )}
    </Card>
  );
}
