import { useState } from "react";
import type { Secret } from "../../../../src/contract/secret.ts";
import type { Server } from "../../../../src/contract/server.ts";
import { usePoll } from "../../api/use-poll.ts";
import { Empty, ErrorBox, Loading } from "../../components/feedback.tsx";
import { Card, Page } from "../../components/page.tsx";
import { SecretItem } from "./secret-item.tsx";
import "./secrets.css";

/** The vault: names, and where they are used. No request answers with a value, so that this page has none to show. */
export default function SecretsPage() {
  const { data, error, refresh } = usePoll<{ secrets: Secret[] }>("/v1/secrets", 5_000);
  const { data: all } = usePoll<{ servers: Server[] }>("/v1/servers", 10_000);
  const [text, setText] = useState("");
  const secrets = data?.secrets ?? [];
  const isFound = ({ name, hosts, vms }: Secret) =>
    [name, ...hosts, ...vms].some((one) => one.toLowerCase().includes(text.trim().toLowerCase()));
  const found = secrets.filter(isFound).sort((a, b) => a.name.localeCompare(b.name));
  return (
    <Page title="Secrets" about="Names and where they are used. Values never leave the daemon.">
      {error !== undefined && <ErrorBox error={error} onRetry={refresh} />}
      {secrets.length > 5 && (
        <input
          className="input filter-input"
          type="search"
          placeholder="Filter by name, host or VM"
          aria-label="Filter secrets"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      )}
      <Card isFlush>
        {data === undefined && error === undefined && <Loading label="Loading secrets" />}
        {data !== undefined && found.length === 0 && (
          <Empty icon="secret" title={secrets.length === 0 ? "No secrets yet" : "No secret is like that"}>
            {secrets.length === 0 && (
              <>
                On the daemon’s host: <code>firebreak secret set NAME --host api.example.org</code>
              </>
            )}
          </Empty>
        )}
        {found.length > 0 && (
          <ul aria-label="Secrets">
            {found.map((secret) => (
              <li key={secret.name} className="secret">
                <SecretItem secret={secret} servers={serversOf(secret, all?.servers ?? [])} />
              </li>
            ))}
          </ul>
        )}
      </Card>
    </Page>
  );
}

/** Servers whose configuration names it: as a variable of the VM's, in a header, or as a client's secret. */
function serversOf({ name }: Secret, servers: readonly Server[]): string[] {
  const reference = `\${secret:${name}}`;
  return servers
    .filter(
      ({ config }) =>
        (config.kind === "vm" && config.secrets.some((secret) => secret.name === name)) ||
        JSON.stringify(config).includes(reference),
    )
    .map((server) => server.name);
}
