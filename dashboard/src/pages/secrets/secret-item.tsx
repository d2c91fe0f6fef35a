import { Link } from "wouter";
import type { Secret } from "../../../../src/contract/secret.ts";
import { Chip, StateBadge } from "../../components/badge.tsx";
import { formatAgo, formatDateTime } from "../../format.ts";
import { serverHref } from "../servers/api.ts";
import { vmHref } from "../vms/api.ts";

/** One secret: where it may go, who may use it. */
export function SecretItem({ secret, servers }: { secret: Secret; servers: readonly string[] }) {
  const { name, hosts, places, expose, aws, createdAt, rotatedAt, vms } = secret;
  const changedAt = rotatedAt ?? createdAt;
  return (
    <article className="stack-s" aria-label={name}>
      <div className="row">
        <h2 className="mono secret-name">{name}</h2>
        {expose === "env" ? (
          <StateBadge state="VMs get the value" tone="warn" />
        ) : (
          <StateBadge state="VMs get a placeholder" tone="good" />
        )}
        {aws !== undefined && <Chip title={`with ${aws.accessKeyId}`}>signs for AWS</Chip>}
        <time className="muted" dateTime={changedAt} title={formatDateTime(changedAt)}>
          {rotatedAt === undefined ? "set" : "rotated"} {formatAgo(changedAt)}
        </time>
      </div>
      <dl className="secret-facts">
        <div>
          <dt>Hosts</dt>
          <dd className="chips">
            {hosts.length === 0
              ? "none"
              : hosts.map((host) => (
                  <Chip key={host} title={host}>
                    {host}
                  </Chip>
                ))}
          </dd>
        </div>
        <div>
          <dt>Becomes the value in</dt>
          <dd>{places.join(", ")}</dd>
        </div>
        <div>
          <dt>Used by VMs</dt>
          <dd>{vms.length === 0 ? "none" : <Links names={vms} href={vmHref} />}</dd>
        </div>
        <div>
          <dt>Used by servers</dt>
          <dd>{servers.length === 0 ? "none" : <Links names={servers} href={serverHref} />}</dd>
        </div>
      </dl>
    </article>
  );
}

function Links({ names, href }: { names: readonly string[]; href: (name: string) => string }) {
  return (
    <span className="row">
      {names.map((name) => (
        <Link key={name} href={href(name)}>
          {name}
        </Link>
      ))}
    </span>
  );
}
