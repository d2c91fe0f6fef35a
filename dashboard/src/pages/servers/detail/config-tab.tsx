import { Link } from "wouter";
import type { Server } from "../../../../../src/contract/server.ts";
import { Icon } from "../../../components/icon.tsx";
import { LongText } from "../../../components/long-text.tsx";
import { Card, Facts } from "../../../components/page.tsx";
import { formatDateTime } from "../../../format.ts";
import { formatJson, showLine } from "../../../text.ts";
import { vmHref } from "../../vms/api.ts";

/** What a server is: where it comes from, what has been installed for it, its configuration. */
export function ConfigTab({ server }: { server: Server }) {
  const { source, protocol, implementation, prompts, resources, vms, preparedAt, packages, warnings, config } = server;
  return (
    <div className="stack">
      <Card title="Server">
        <div className="stack-s">
          <Facts
            facts={[
              ["From", showLine(source)],
              ["Says that it is", implementation && showLine(`${implementation.name} ${implementation.version}`)],
              ["Protocol", protocol && `${protocol.version} (${protocol.era})`],
              ["Prompts", prompts],
              ["Resources", resources],
              ["Prepared", preparedAt && formatDateTime(preparedAt)],
              [
                "VMs",
                vms.length === 0
                  ? undefined
                  : vms.map((vm) => (
                      <span key={vm}>
                        <Link href={vmHref(vm)}>{vm}</Link>{" "}
                      </span>
                    )),
              ],
            ]}
          />
          {warnings.map((warning) => (
            <p key={warning} className="warning-line">
              <Icon name="alert" /> {showLine(warning)}
            </p>
          ))}
        </div>
      </Card>
      {packages.length > 0 && (
        <Card title="Installed">
          <ul className="plain-list mono">
            {packages.map(({ name, version }) => (
              <li key={name}>
                {showLine(name)} {showLine(version)}
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Card title="Configuration">
        <LongText text={formatJson(config)} limit={10_000} label="Configuration" />
      </Card>
    </div>
  );
}
